namespace DiCacheNative.Caching;

/// <summary>
/// Repeats the decisions of a trace as a fixed schedule. The recorded gammas are used, so that no probe is needed and a skipped step
/// costs only its embedding and head; the results equal those of the recorded run.
/// </summary>
public sealed class ReplayPolicy : ICachePolicy
{
    private readonly Dictionary<(int Step, int Branch, int Sample), CachePlan> _plans = [];
    private readonly int _steps;

    /// <summary>Creates the policy.</summary>
    /// <param name="rows">A trace of one generation, as <see cref="CacheTrace.Read"/> gives it.</param>
    /// <exception cref="ArgumentException">The trace is empty, or a step occurs twice.</exception>
    public ReplayPolicy(IEnumerable<CacheTraceRow> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        foreach (CacheTraceRow row in rows)
        {
            CachePlan plan = row.Decision == StepDecision.Skip ? new(CacheAction.Skip, row.Gamma) : new(CacheAction.Full);
            if (!_plans.TryAdd((row.Step, row.Branch, row.Sample), plan))
            {
                throw new ArgumentException(
                    $"the cache trace has step {row.Step}, branch {row.Branch}, sample {row.Sample} twice; replay the trace of one generation");
            }

            _steps = Math.Max(_steps, row.Step + 1);
        }

        if (_plans.Count == 0)
        {
            throw new ArgumentException("the cache trace is empty: record one first");
        }

        Scope = _plans.Keys.Any(k => k.Sample >= 0) ? DecisionScope.Sample : DecisionScope.Batch;
    }

    /// <inheritdoc/>
    public string Name => "replay";

    /// <inheritdoc/>
    public int ProbeDepth => 0;

    /// <inheritdoc/>
    public bool NeedsInputChange => false;

    /// <inheritdoc/>
    public CacheReuse Reuse => CacheReuse.TrajectoryAlignment;

    /// <inheritdoc/>
    public (float Min, float Max) GammaRange => (float.NegativeInfinity, float.PositiveInfinity);

    /// <inheritdoc/>
    public DecisionScope Scope { get; }

    /// <inheritdoc/>
    public bool KeepsStaleProbe(int probeBlocks) => false;

    /// <inheritdoc/>
    public CachePlan Plan(in StepInfo step, in LaneState lane)
    {
        if (step.Steps != _steps)
        {
            throw new ArgumentException($"the cache trace has {_steps} steps, the generation {step.Steps}; replay it with {_steps} steps");
        }

        if (!_plans.TryGetValue((step.Step, step.Branch, step.Sample), out CachePlan plan))
        {
            throw new ArgumentException(
                $"the cache trace has no row for step {step.Step}, branch {step.Branch}, sample {step.Sample}; replay it with the guidance and batch it was "
                    + $"recorded with");
        }

        return plan;
    }

    /// <inheritdoc/>
    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => default;
}
