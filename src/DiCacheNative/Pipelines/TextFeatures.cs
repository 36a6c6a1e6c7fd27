namespace DiCacheNative.Pipelines;

/// <summary>What a text encoder makes of a batch of texts: one vector per token, one vector per text, or both.</summary>
public sealed class TextFeatures
{
    /// <summary>Number of texts, B.</summary>
    public required int Batch { get; init; }

    /// <summary>Tokens per text, L.</summary>
    public required int Tokens { get; init; }

    /// <summary>One vector per token, [B, L, <see cref="Width"/>]; empty when the encoder gives none.</summary>
    public float[] HiddenStates { get; init; } = [];

    /// <summary>Elements of a token's vector; 0 without hidden states.</summary>
    public int Width { get; init; }

    /// <summary>One vector per text, [B, <see cref="PooledWidth"/>]; empty when the encoder gives none.</summary>
    public float[] Pooled { get; init; } = [];

    /// <summary>Elements of a text's pooled vector; 0 without one.</summary>
    public int PooledWidth { get; init; }
}
