namespace DiCacheNative.Models;

/// <summary>Size of a video, or of its latents, or of its grid of tokens.</summary>
/// <param name="Frames">F.</param>
/// <param name="Height">H.</param>
/// <param name="Width">W.</param>
public readonly record struct LatentSize(int Frames, int Height, int Width)
{
    /// <summary>Largest number of positions: arrays of them are counted in 32 bits.</summary>
    private const long MostPositions = int.MaxValue;

    /// <summary>F * H * W.</summary>
    /// <exception cref="ArgumentException">There are more than 2^31 - 1.</exception>
    public int Positions => Count <= MostPositions ? (int)Count
        : throw new ArgumentException($"{this} are {Count:N0} positions; at most {MostPositions:N0} can be laid out");

    // The product of three numbers of 31 bits may take more than 64.
    private Int128 Count => (Int128)Frames * Height * Width;

    /// <summary>Latents of a video from a causal VAE that halves height and width three times and the frames after the first twice.</summary>
    /// <param name="frames">Frames, 4 n + 1.</param>
    /// <param name="height">Height in pixels, a multiple of 16.</param>
    /// <param name="width">Width in pixels, a multiple of 16.</param>
    /// <exception cref="ArgumentException">The size has no such latents, or too many.</exception>
    public static LatentSize OfVideo(int frames, int height, int width)
    {
        if (frames < 1 || frames % 4 != 1 || height < 16 || width < 16 || height % 16 != 0 || width % 16 != 0)
        {
            throw new ArgumentException(
                $"a video of {frames} frames of {width}x{height} is not possible: frames must be 4 n + 1, width and height multiples of 16");
        }

        LatentSize latent = new(((frames - 1) / 4) + 1, height / 8, width / 8);
        return latent.Count <= MostPositions ? latent : throw new ArgumentException(
            $"a video of {frames} frames of {width}x{height} is too large: it has more than {MostPositions:N0} latents; ask for fewer frames or a smaller "
                + $"picture");
    }

    /// <summary>The grid of patches pt x ph x pw.</summary>
    /// <exception cref="ArgumentException">The size is empty or does not divide evenly.</exception>
    public LatentSize Grid(LatentSize patch)
    {
        if (Frames <= 0 || Height <= 0 || Width <= 0 || Frames % patch.Frames != 0 || Height % patch.Height != 0 || Width % patch.Width != 0)
        {
            throw new ArgumentException($"latents of {this} cannot be cut into patches of {patch}");
        }

        return new LatentSize(Frames / patch.Frames, Height / patch.Height, Width / patch.Width);
    }

    /// <summary>As in "3 x 6 x 10".</summary>
    public override string ToString() => $"{Frames} x {Height} x {Width}";
}
