namespace DiCacheNative.Pipelines;

/// <summary>
/// How the latents of an image are cut for a decoder: square tiles of at most <see cref="Tile"/> latents a side that overlap by <see cref="Overlap"/>. Within
/// an overlap the earlier tile fades out linearly while the later one fades in.
/// </summary>
/// <remarks>
/// The decoder's memory then follows the tile and not the image. A decoder sees no farther than its tile, so the image differs slightly from one that is
/// decoded whole; latents no larger than one tile are decoded whole, exactly.
/// </remarks>
public sealed record ImageTiling
{
    /// <summary>Tiles of 1024 x 1024 pixels that share 128 pixels.</summary>
    public static ImageTiling Default { get; } = new();

    /// <summary>Largest side of a tile, latents.</summary>
    public int Tile { get; init; } = 128;

    /// <summary>What neighbouring tiles share, latents: at least 1 and at most half a tile.</summary>
    public int Overlap { get; init; } = 16;

    /// <summary>Checks the sizes.</summary>
    /// <exception cref="ArgumentException">The overlap is below 1 or above half a tile.</exception>
    public void Validate()
    {
        if (Overlap < 1 || Overlap > Tile / 2)
        {
            throw new ArgumentException($"tiles of {Tile} latents cannot overlap by {Overlap}: an overlap must be at least 1 and at most half a tile");
        }
    }
}
