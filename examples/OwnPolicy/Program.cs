// A cache of your own: OwnPolicy [model folder] [output file]
using DiCacheNative;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;

string model = args.Length > 0 ? args[0] : "models/shapes-flux", output = args.Length > 1 ? args[1] : "policy.png";
using Engine engine = Engine.Load(model);
GenerationResult result = await engine.GenerateAsync(new GenerationRequest
{
    Prompt = "a yellow ring above a purple heart",
    Seed = 3,
    Cache = new QuietStepCache(threshold: 0.05f, longestRun: 2),
    KeepTrace = true,
});
result.Images[0].Save(output);
Console.WriteLine($"{result.Cache.Skip} of {result.Cache.Calls} model calls skipped: "
    + string.Concat(result.Trace.Select(row => row.Decision == StepDecision.Skip ? '.' : '#')));

/// <summary>Skips a step when the probe's output hardly changed since the last call, never more than a few in a row.</summary>
internal sealed class QuietStepCache(float threshold, int longestRun) : ICachePolicy
{
    public string Name => "quiet-step";

    public int ProbeDepth => 1;

    public bool NeedsInputChange => false;

    public CacheReuse Reuse => CacheReuse.TrajectoryAlignment;

    public (float Min, float Max) GammaRange => (1, 1.5f);

    public DecisionScope Scope => DecisionScope.Sample;

    public bool KeepsStaleProbe(int probeBlocks) => false;

    public CachePlan Plan(in StepInfo step, in LaneState lane) =>
        new(lane.ComputedSteps < 2 || step.Step == step.Steps - 1 ? CacheAction.Full : CacheAction.Probe);

    // A comparison with NaN is false: what cannot be measured is computed.
    public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) =>
        new(change.DeltaY < threshold && lane.ConsecutiveSkips < longestRun, Error: change.DeltaY, Accumulated: change.DeltaY);
}
