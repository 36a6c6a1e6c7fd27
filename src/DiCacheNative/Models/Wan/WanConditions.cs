namespace DiCacheNative.Models.Wan;

/// <summary>Conditions of one sample.</summary>
public sealed record WanConditions
{
    /// <summary>Text encoder states [L, text width]; L up to the text tokens of the model, the rest is padded with zeros.</summary>
    public required ReadOnlyMemory<float> Text { get; init; }

    /// <summary>CLIP features of the first frame [image tokens, image width]; for image-to-video models only.</summary>
    public ReadOnlyMemory<float> Image { get; init; }

    /// <summary>Conditioning latents [condition channels, F, H, W] (mask and encoded first frame); for image-to-video models only.</summary>
    public ReadOnlyMemory<float> Latents { get; init; }
}
