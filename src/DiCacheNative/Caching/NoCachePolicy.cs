namespace DiCacheNative.Caching;

/// <summary>Computes every step.</summary>
public sealed class NoCachePolicy : ICachePolicy
{
    /// <summary>The only one needed: it has no settings and no state.</summary>
    public static NoCachePolicy Instance { get; } = new();

    /// <inheritdoc/>
    public string Name => "none";

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
    public CachePlan Plan(in StepInfo step, in LaneState lane) => new(CacheAction.Full);

    /// <inheritdoc/>
    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => default;
}
