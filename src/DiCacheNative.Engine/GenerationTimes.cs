namespace DiCacheNative;

/// <summary>Wall-clock milliseconds of the phases of a generation.</summary>
/// <param name="Load">Loading the model: once per engine, and the same number for each of its generations.</param>
/// <param name="Text">Tokenizers and text encoders.</param>
/// <param name="Denoise">Sampling: layout, modulations and all model calls.</param>
/// <param name="Vae">Decoding.</param>
/// <param name="Total">The whole generation, without the load.</param>
public readonly record struct GenerationTimes(double Load, double Text, double Denoise, double Vae, double Total);
