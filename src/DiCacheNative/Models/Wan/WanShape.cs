namespace DiCacheNative.Models.Wan;

/// <summary>The shape a WAN program is laid out for. Samples of a batch may differ in size; shorter ones are padded with zero tokens.</summary>
public sealed record WanShape
{
    /// <summary>A batch of samples of one size.</summary>
    /// <param name="latent">Size of the latents, as <see cref="LatentSize.OfVideo"/> gives it.</param>
    /// <param name="batch">Samples per call, B.</param>
    public WanShape(LatentSize latent, int batch = 1)
        : this([.. Enumerable.Repeat(latent, batch)])
    {
    }

    /// <summary>A batch of samples of different sizes.</summary>
    /// <param name="latents">Size of the latents of every sample; height and width even.</param>
    public WanShape(IReadOnlyList<LatentSize> latents)
    {
        ArgumentNullException.ThrowIfNull(latents);
        Latents = latents.Count > 0 ? latents : throw new ArgumentException("a WAN shape needs at least one sample", nameof(latents));
        Tokens = latents.Max(l => l.Grid(WanConfig.Patch).Positions);
    }

    /// <summary>Size of the latents of every sample.</summary>
    public IReadOnlyList<LatentSize> Latents { get; }

    /// <summary>
    /// Tokens that every sample is padded to; the longest sample by default. Padding is never attended to, but the means of the cache count
    /// it, as the published script does: more than needed only makes sense for comparison with that.
    /// </summary>
    public int Tokens
    {
        get;
        init => field = value >= field ? value : throw new ArgumentException($"samples of {field} tokens cannot be padded to {value}", nameof(value));
    }

    /// <summary>Text tokens; null for what the model's configuration says.</summary>
    public int? TextTokens { get; init; }

    /// <summary>Image tokens of an image-to-video model: what CLIP ViT-H/14 gives.</summary>
    public int ImageTokens { get; init; } = 257;

    /// <summary>Condition slots: guidance branches, times samples when these decide for themselves.</summary>
    public int Slots { get; init; } = 1;

    /// <summary>Sampling steps whose time embeddings are kept.</summary>
    public int MaxSteps { get; init; } = 1;

    /// <summary>Rows that a block works on at a time, at most.</summary>
    internal int MaxRows { get; init; } = RowChunks.MaxRows;

    /// <summary>Samples per call, B.</summary>
    public int Batch => Latents.Count;

    /// <summary>Runs of samples that one operation can take together: all of them if they are of one size, otherwise each by itself.</summary>
    internal IReadOnlyList<WanRun> Runs => Latents.Distinct().Count() == 1
        ? [new WanRun(0, Batch, Latents[0])]
        : [.. Latents.Select((latent, i) => new WanRun(i, 1, latent))];
}

/// <summary>Samples [Start, Start + Count) of one size.</summary>
internal readonly record struct WanRun(int Start, int Count, LatentSize Latent)
{
    /// <summary>Tokens along the axes.</summary>
    public LatentSize Grid => Latent.Grid(WanConfig.Patch);

    /// <summary>Tokens that are no padding.</summary>
    public int Tokens => Grid.Positions;
}
