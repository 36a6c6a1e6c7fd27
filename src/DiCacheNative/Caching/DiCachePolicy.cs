namespace DiCacheNative.Caching;

/// <summary>DiCache (arXiv:2508.17356): the online probe decides when, trajectory alignment how.</summary>
public sealed class DiCachePolicy : ICachePolicy
{
    private readonly DiCacheOptions _options;

    /// <summary>Creates the policy.</summary>
    /// <param name="options">Settings; <see cref="DiCacheOptions.Default"/> when left out.</param>
    /// <exception cref="ArgumentException">A setting lies outside its range.</exception>
    public DiCachePolicy(DiCacheOptions? options = null)
    {
        _options = options ?? DiCacheOptions.Default;
        _options.Validate();
    }

    /// <inheritdoc/>
    public string Name => "dicache";

    /// <inheritdoc/>
    public int ProbeDepth => _options.ProbeDepth;

    /// <inheritdoc/>
    public bool NeedsInputChange => _options.Error == ProbeError.DeltaMinus;

    /// <inheritdoc/>
    public CacheReuse Reuse => _options.Reuse;

    /// <inheritdoc/>
    public (float Min, float Max) GammaRange => (_options.GammaMin, _options.GammaMax);

    /// <inheritdoc/>
    public DecisionScope Scope => _options.Scope;

    /// <inheritdoc/>
    public bool KeepsStaleProbe(int probeBlocks) => _options.KeepStaleProbe && 2 * _options.ProbeDepth > probeBlocks;

    /// <inheritdoc/>
    public CachePlan Plan(in StepInfo step, in LaneState lane)
    {
        bool warm = _options.WarmUp switch
        {
            WarmUpRule.UpToRatio => step.Step > (int)(_options.RetRatio * step.Steps),
            WarmUpRule.CallsBelowRatio => (step.Step * step.Branches) + step.Branch >= (int)((step.Steps * step.Branches) * _options.RetRatio),
            _ => step.Step >= (int)(_options.RetRatio * step.Steps),
        };
        bool last = _options.LastStepFull && step.Step == step.Steps - 1;
        return new CachePlan(warm && !last && lane.ComputedSteps >= _options.MinimumComputed ? CacheAction.Probe : CacheAction.Full);
    }

    /// <inheritdoc/>
    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane)
    {
        float error = _options.Error == ProbeError.DeltaMinus ? MathF.Abs(change.DeltaY - change.DeltaX) : change.DeltaY;
        float accumulated = lane.Accumulated + error;

        // NaN and infinity fail both comparisons: a step that cannot be judged is computed.
        bool skip = _options.SkipWhenEqual ? accumulated <= _options.Threshold : accumulated < _options.Threshold;
        skip &= !(_options.ComputeUndefinedGamma && change.GammaRaw is { } gamma && float.IsNaN(gamma));
        return new CacheVerdict(skip, error, accumulated);
    }
}
