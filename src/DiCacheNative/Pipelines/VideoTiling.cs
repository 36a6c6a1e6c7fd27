using DiCacheNative.Models;

namespace DiCacheNative.Pipelines;

/// <summary>
/// How latents too large for one run of a decoder are cut: tiles of at most <see cref="Tile"/> that overlap by <see cref="Overlap"/>, all
/// in latent frames, rows and columns. Within an overlap the earlier tile fades out linearly while the later one fades in.
/// </summary>
/// <remarks>
/// The decoder's memory follows the tile and not the video: one feature map of c channels at full resolution takes
/// 4 c (4 (f - 1) + 1) 64 h w bytes for a tile of f x h x w, and a decoder holds a few of them at a time. With the default tile that is
/// 428 MB for each map of 96 channels (the widest at full resolution in WAN 2.1). Beside it stand the decoded video itself,
/// 12 F H W bytes, and one decoded tile. Latents no larger than one tile are decoded in one run, exactly.
/// </remarks>
public sealed record VideoTiling
{
    /// <summary>Tiles of 17 frames of 256 x 256 pixels that share 5 frames and 64 pixels.</summary>
    public static VideoTiling Default { get; } = new();

    /// <summary>Largest tile: latent frames, rows, columns.</summary>
    public LatentSize Tile { get; init; } = new(5, 32, 32);

    /// <summary>
    /// What neighbouring tiles share, at least 1 and at most half a tile along every axis. A decoder that looks back in time has not seen
    /// the past at the start of a tile: these frames count least where the previous tile still has them.
    /// </summary>
    public LatentSize Overlap { get; init; } = new(2, 8, 8);

    /// <summary>Checks the sizes.</summary>
    /// <exception cref="ArgumentException">An overlap is below 1 or above half a tile.</exception>
    public void Validate()
    {
        if (!(Fits(Tile.Frames, Overlap.Frames) && Fits(Tile.Height, Overlap.Height) && Fits(Tile.Width, Overlap.Width)))
        {
            throw new ArgumentException($"tiles of {Tile} cannot overlap by {Overlap}: an overlap must be at least 1 and at most half a tile along every axis");
        }
    }

    private static bool Fits(int tile, int overlap) => overlap >= 1 && 2 * overlap <= tile;
}
