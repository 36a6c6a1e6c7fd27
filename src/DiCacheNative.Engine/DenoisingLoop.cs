using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>The sampling loop of every pipeline: model calls of all guidance branches, guidance, solver.</summary>
internal static class DenoisingLoop
{
    /// <summary>Takes latents from noise to picture.</summary>
    /// <param name="session">Model and cache; the slots of its program have their conditions.</param>
    /// <param name="sampler">Noise levels and solver.</param>
    /// <param name="cfgScale">Guidance: unconditional + scale (conditional - unconditional); 1 runs the conditional branch alone.</param>
    /// <param name="latents">Noise, replaced by the result.</param>
    /// <param name="onStep">Called after every step.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancel">Asked before every step; the program's own is asked inside.</param>
    /// <exception cref="NonFiniteException">The latents are no longer finite; names the step.</exception>
    /// <exception cref="BackendException">A device error.</exception>
    public static void Run(
        DiTSession session, ISampler sampler, float cfgScale, float[] latents, Action<StepSnapshot>? onStep, IProgress<GenerationProgress>? progress,
        CancellationToken cancel)
    {
        long start = Stopwatch.GetTimestamp();
        bool guided = cfgScale != 1;
        int steps = sampler.Timesteps.Count;
        float[] velocity = new float[latents.Length], unconditional = guided ? new float[latents.Length] : [];
        session.Begin([.. sampler.Sigmas.Take(steps)], [.. sampler.Timesteps]);
        for (int i = 0; i < steps; i++)
        {
            cancel.ThrowIfCancellationRequested();
            long stepStart = Stopwatch.GetTimestamp();
            float sigma = sampler.Sigmas[i];
            StepDecision decision = session.Step(latents, sigma, 0, velocity);
            if (guided)
            {
                decision = session.Step(latents, sigma, 1, unconditional);
                for (int k = 0; k < velocity.Length; k++)
                {
                    velocity[k] = unconditional[k] + (cfgScale * (velocity[k] - unconditional[k]));
                }
            }

            sampler.Step(i, latents, velocity);
            if (!Finite.All(latents))
            {
                throw new NonFiniteException(
                    $"the latents are no longer finite (NaN or infinity) after step {i + 1} of {steps}: "
                    + "the checkpoint, the step count or the cache settings cannot be used together");
            }

            onStep?.Invoke(new StepSnapshot(i, latents, velocity));
            progress?.Report(new GenerationProgress(i + 1, steps, decision, Stopwatch.GetElapsedTime(stepStart), Stopwatch.GetElapsedTime(start)));
        }
    }
}
