namespace DiCacheNative.Caching;

/// <summary>Computes every n-th step after a warm-up, and the last one; reuses the residual in between. Looks at nothing: the baseline of step
/// caches.</summary>
/// <param name="interval">n, at least 1; 1 computes every step.</param>
/// <param name="retRatio">Part of the generation that is always computed at its start, 0 to 1.</param>
/// <param name="lastStepFull">Whether the last step is always computed.</param>
public sealed class IntervalPolicy(int interval, double retRatio = 0, bool lastStepFull = true) : ICachePolicy
{
    private readonly int _interval = interval >= 1 ? interval : throw new ArgumentException("the interval of the cache must be at least 1", nameof(interval));
    private readonly double _retRatio = retRatio is >= 0 and <= 1 ? retRatio
        : throw new ArgumentException("the ratio of steps that the cache always computes must be between 0 and 1", nameof(retRatio));

    /// <inheritdoc/>
    public string Name => "interval";

    /// <inheritdoc/>
    public int ProbeDepth => 0;

    /// <inheritdoc/>
    public bool NeedsInputChange => false;

    /// <inheritdoc/>
    public CacheReuse Reuse => CacheReuse.ReuseResidual;

    /// <inheritdoc/>
    public (float Min, float Max) GammaRange => (1, 1);

    /// <inheritdoc/>
    public DecisionScope Scope => DecisionScope.Batch;

    /// <inheritdoc/>
    public bool KeepsStaleProbe(int probeBlocks) => false;

    /// <inheritdoc/>
    public CachePlan Plan(in StepInfo step, in LaneState lane)
    {
        int first = (int)(_retRatio * step.Steps);
        bool compute = step.Step < first || (step.Step - first) % _interval == 0 || (lastStepFull && step.Step == step.Steps - 1) || lane.ComputedSteps == 0;
        return new CachePlan(compute ? CacheAction.Full : CacheAction.Skip);
    }

    /// <inheritdoc/>
    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => default;
}
