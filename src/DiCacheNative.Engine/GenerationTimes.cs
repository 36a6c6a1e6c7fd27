namespace DiCacheNative;

/// <summary>Wall-clock milliseconds of the phases of a generation.</summary>
/// <param name="Load">Loading the model; paid once per engine.</param>
/// <param name="Text">Tokenizers and text encoders.</param>
/// <param name="Denoise">Sampling: layout, modulations and all model calls.</param>
/// <param name="Vae">Decoding.</param>
/// <param name="Total">The generation, and the load for the first one of an engine.</param>
public readonly record struct GenerationTimes(double Load, double Text, double Denoise, double Vae, double Total);
