namespace DiCacheNative;

/// <summary>What a generation is doing, in this order.</summary>
public enum GenerationPhase
{
    /// <summary>Encoding the prompts.</summary>
    Text,

    /// <summary>Sampling, step by step.</summary>
    Denoise,

    /// <summary>Decoding the latents to pictures.</summary>
    Decode,
}
