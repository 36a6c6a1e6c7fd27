namespace DiCacheNative.Caching;

/// <summary>
/// The two questions of a cache: when may a step be skipped, and how is its output approximated. A policy has no state of its own, so one
/// object may serve any number of sessions; what it must remember per branch and sample is in <see cref="LaneState"/>.
/// </summary>
public interface ICachePolicy
{
    /// <summary>Name for traces and reports.</summary>
    string Name { get; }

    /// <summary>Blocks the probe runs; 0 for a policy that never asks for a probe.</summary>
    int ProbeDepth { get; }

    /// <summary>
    /// Whether the relative change of the probe's input is wanted, at the price of two more feature maps: of this call and of the one before.
    /// </summary>
    bool NeedsInputChange { get; }

    /// <summary>How a skipped output is approximated.</summary>
    CacheReuse Reuse { get; }

    /// <summary>Bounds of gamma for <see cref="CacheReuse.TrajectoryAlignment"/>.</summary>
    (float Min, float Max) GammaRange { get; }

    /// <summary>Over which samples one decision is taken.</summary>
    DecisionScope Scope { get; }

    /// <summary>Whether the stored probe stays as it was after a resumed step (see <see cref="DiCacheOptions.KeepStaleProbe"/>).</summary>
    /// <param name="probeBlocks">Blocks that a probe of this model could run at most.</param>
    bool KeepsStaleProbe(int probeBlocks);

    /// <summary>What to do before anything of the step is known.</summary>
    CachePlan Plan(in StepInfo step, in LaneState lane);

    /// <summary>What to do once the probe ran; only called after a plan of <see cref="CacheAction.Probe"/>.</summary>
    CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane);
}

/// <summary>What a step does first.</summary>
public enum CacheAction
{
    /// <summary>Compute all blocks.</summary>
    Full,

    /// <summary>Run the probe, measure, then skip or resume.</summary>
    Probe,

    /// <summary>Skip without a probe.</summary>
    Skip,
}

/// <summary>What was done in a step.</summary>
public enum StepDecision
{
    /// <summary>All blocks, no measurement.</summary>
    Full,

    /// <summary>Probe, measurement, then the other blocks from the probe on.</summary>
    Resume,

    /// <summary>No block beyond the probe; the output was approximated.</summary>
    Skip,
}

/// <summary>Where in a generation a model call stands. Steps count from 0.</summary>
/// <param name="Step">Index of the sampling step.</param>
/// <param name="Steps">Number of sampling steps.</param>
/// <param name="Branch">Guidance branch: 0 conditional, 1 unconditional.</param>
/// <param name="Branches">Number of branches.</param>
/// <param name="Sample">Index of the sample in its batch; -1 when one decision holds for the batch.</param>
/// <param name="Sigma">Noise level, 1 (noise) to 0 (image).</param>
public readonly record struct StepInfo(int Step, int Steps, int Branch, int Branches, int Sample, float Sigma);

/// <summary>What is remembered of the calls of one branch and sample.</summary>
/// <param name="ComputedSteps">Steps computed so far, full or resumed.</param>
/// <param name="Accumulated">Error accumulated since the last computed step; a skip without a probe leaves it as it is.</param>
/// <param name="ConsecutiveSkips">Steps skipped since the last computed step.</param>
public readonly record struct LaneState(int ComputedSteps, float Accumulated, int ConsecutiveSkips);

/// <summary>A plan for a step.</summary>
/// <param name="Action">What to do first.</param>
/// <param name="Gamma">For a skip without probe: gamma to align with; null to reuse the last residual.</param>
public readonly record struct CachePlan(CacheAction Action, float? Gamma = null);

/// <summary>What the probe measured, relative to the previous call of the same branch and sample. 0/0 is NaN and x/0 infinity, as in IEEE arithmetic.</summary>
/// <param name="DeltaX">Relative L1 change of the embedded input; NaN when it was not measured.</param>
/// <param name="DeltaY">Relative L1 change of the probe output.</param>
/// <param name="GammaRaw">gamma before clipping; null while fewer than two computed steps are remembered, or without alignment.</param>
public readonly record struct ProbeChange(float DeltaX, float DeltaY, float? GammaRaw = null);

/// <summary>The answer to a probe.</summary>
/// <param name="Skip">Whether the rest of the step is skipped.</param>
/// <param name="Error">The error of this step.</param>
/// <param name="Accumulated">
/// Accumulated error with it: told in the trace, and given to the next call when the step is skipped. A computed step forgets it.
/// </param>
public readonly record struct CacheVerdict(bool Skip, float Error, float Accumulated);
