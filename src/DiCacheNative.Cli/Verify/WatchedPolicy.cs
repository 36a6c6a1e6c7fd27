using DiCacheNative.Caching;

namespace DiCacheNative.Cli.Verify;

/// <summary>A policy that decides as another one, and keeps the state of the cache that each call began with.</summary>
internal sealed class WatchedPolicy(ICachePolicy inner) : ICachePolicy
{
    private readonly List<LaneState> _states = [];

    /// <summary>The state before each call, in the order of the calls.</summary>
    public IReadOnlyList<LaneState> States => _states;

    public string Name => inner.Name;

    public int ProbeDepth => inner.ProbeDepth;

    public bool NeedsInputChange => inner.NeedsInputChange;

    public CacheReuse Reuse => inner.Reuse;

    public (float Min, float Max) GammaRange => inner.GammaRange;

    public DecisionScope Scope => inner.Scope;

    public bool KeepsStaleProbe(int probeBlocks) => inner.KeepsStaleProbe(probeBlocks);

    public CachePlan Plan(in StepInfo step, in LaneState lane)
    {
        _states.Add(lane);
        return inner.Plan(step, lane);
    }

    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => inner.Decide(step, change, lane);
}
