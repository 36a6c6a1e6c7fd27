namespace DiCacheNative;

/// <summary>State after a sampling step, for previews and tests.</summary>
/// <param name="Step">Index of the step, from 0.</param>
/// <param name="Latents">Latents after the step: packed tokens [B, T, C] of images, [C, f, h, w] of a video.</param>
/// <param name="Velocity">Velocity used in the step, guidance applied, of the same shape.</param>
public readonly record struct StepSnapshot(int Step, ReadOnlyMemory<float> Latents, ReadOnlyMemory<float> Velocity);
