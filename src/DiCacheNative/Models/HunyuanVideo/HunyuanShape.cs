namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>The shape a HunyuanVideo program is laid out for.</summary>
/// <param name="Latent">Size of the latents, as <see cref="LatentSize.OfVideo"/> gives it; height and width even.</param>
/// <param name="TextTokens">Text tokens, padding included; padding is not attended to.</param>
/// <param name="Batch">Samples per call, B.</param>
/// <param name="Slots">Condition slots: guidance branches, times samples when these decide for themselves.</param>
/// <param name="MaxSteps">Sampling steps whose modulations are kept.</param>
public sealed record HunyuanShape(LatentSize Latent, int TextTokens = 256, int Batch = 1, int Slots = 1, int MaxSteps = 1)
{
    /// <summary>Latent tokens along the axes.</summary>
    public LatentSize Grid => Latent.Grid(HunyuanConfig.Patch);

    /// <summary>Latent tokens per sample, T.</summary>
    public int ImageTokens => Grid.Positions;

    /// <summary>Tokens of the joint sequence: image, then text.</summary>
    public int Tokens => ImageTokens + TextTokens;

    /// <summary>Rows that a block works on at a time, at most.</summary>
    internal int MaxRows { get; init; } = RowChunks.MaxRows;
}
