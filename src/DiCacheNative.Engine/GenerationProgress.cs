using DiCacheNative.Caching;

namespace DiCacheNative;

/// <summary>Reported when a phase of a generation begins, with step 0, and after every sampling step.</summary>
/// <param name="Step">Steps done; 0 when a phase begins.</param>
/// <param name="Steps">Steps in all; 0 outside of sampling.</param>
/// <param name="Decision">What the cache did in the step (in its last model call).</param>
/// <param name="StepTime">Time the step took.</param>
/// <param name="Elapsed">Time since sampling began.</param>
public readonly record struct GenerationProgress(int Step, int Steps, StepDecision Decision, TimeSpan StepTime, TimeSpan Elapsed)
{
    /// <summary>What the generation is doing.</summary>
    public GenerationPhase Phase { get; init; } = GenerationPhase.Denoise;

    /// <summary>The beginning of a phase.</summary>
    internal static GenerationProgress Begin(GenerationPhase phase, int steps = 0) => new(0, steps, default, default, default) { Phase = phase };
}
