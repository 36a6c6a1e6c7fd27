using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>Shape of the feature maps x0, p and their residuals of a program, [B, T, D].</summary>
/// <param name="Type">Element type.</param>
/// <param name="Batch">Samples per call, B.</param>
/// <param name="Tokens">Latent tokens per sample, T.</param>
/// <param name="Width">Model width, D.</param>
public readonly record struct FeatureShape(DType Type, int Batch, int Tokens, int Width);
