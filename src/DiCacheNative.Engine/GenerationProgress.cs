using DiCacheNative.Caching;

namespace DiCacheNative;

/// <summary>Reported after every sampling step.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="Decision">What the cache did in the step (in its last model call).</param>
/// <param name="StepTime">Time the step took.</param>
/// <param name="Elapsed">Time since sampling began.</param>
public readonly record struct GenerationProgress(int Step, int Steps, StepDecision Decision, TimeSpan StepTime, TimeSpan Elapsed);
