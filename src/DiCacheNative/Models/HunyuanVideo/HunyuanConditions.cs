namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>Conditions of one sample.</summary>
public sealed record HunyuanConditions
{
    /// <summary>Text encoder states [L, text width]; L up to the text tokens of the shape.</summary>
    public required ReadOnlyMemory<float> Text { get; init; }

    /// <summary>How many of the text tokens, from the first on, are no padding; null for all that are given.</summary>
    public int? ValidTokens { get; init; }

    /// <summary>Pooled text embedding [pooled width].</summary>
    public required ReadOnlyMemory<float> Pooled { get; init; }

    /// <summary>Distilled guidance scale; ignored by a model without guidance embedding.</summary>
    public float Guidance { get; init; } = 6;
}
