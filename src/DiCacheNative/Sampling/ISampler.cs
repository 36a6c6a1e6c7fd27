namespace DiCacheNative.Sampling;

/// <summary>
/// A solver of the flow ODE on host memory, with its table of noise levels. One object serves one generation at a time: solvers of
/// higher order remember previous steps. After the first step nothing is allocated.
/// </summary>
public interface ISampler
{
    /// <summary>Noise level before each step and after the last: N + 1 numbers, from about 1 (noise) to 0 (picture).</summary>
    IReadOnlyList<float> Sigmas { get; }

    /// <summary>What the model is told at each step: N numbers on the scale of its training (0 to 1000).</summary>
    IReadOnlyList<float> Timesteps { get; }

    /// <summary>Takes one step: the latents at <c>Sigmas[index]</c> become those at <c>Sigmas[index + 1]</c>.</summary>
    /// <param name="index">The step, from 0. Steps follow one another; 0 starts a new generation, and the first may be a later one.</param>
    /// <param name="latents">The latents, replaced by the result.</param>
    /// <param name="modelOutput">The model's velocity (noise - picture) at these latents, of the same length; after guidance.</param>
    /// <exception cref="ArgumentException">The lengths differ, there is no such step, or it does not follow the previous one.</exception>
    void Step(int index, Span<float> latents, ReadOnlySpan<float> modelOutput);
}
