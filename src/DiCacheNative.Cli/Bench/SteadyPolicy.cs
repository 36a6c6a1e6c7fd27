using DiCacheNative.Caching;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// Two computed steps, then what it is told to do at every step: the way to time a full, a resumed or a skipped step alone. A skipped step
/// pays for everything that DiCache pays for: probe, sums, read-back, decision, alignment.
/// </summary>
internal sealed class SteadyPolicy(int probeDepth) : ICachePolicy
{
    /// <summary>What every step after the first two does.</summary>
    public StepDecision Mode { get; set; }

    public string Name => "steady";

    public int ProbeDepth => probeDepth;

    public bool NeedsInputChange => false;

    public CacheReuse Reuse => CacheReuse.TrajectoryAlignment;

    public (float Min, float Max) GammaRange => (1, 1.5f);

    public DecisionScope Scope => DecisionScope.Batch;

    public bool KeepsStaleProbe(int probeBlocks) => false;

    public CachePlan Plan(in StepInfo step, in LaneState lane) =>
        new(lane.ComputedSteps < 2 || Mode == StepDecision.Full ? CacheAction.Full : CacheAction.Probe);

    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => new(Mode == StepDecision.Skip, change.DeltaY, change.DeltaY);
}
