using DiCacheNative.Imaging;
using DiCacheNative.Tensors;

namespace DiCacheNative.Pipelines;

/// <summary>Decodes images one by one, each in tiles where it is larger than one.</summary>
internal static class TiledImageDecoding
{
    /// <summary>Decodes latents.</summary>
    /// <param name="decoder">What decodes a tile.</param>
    /// <param name="tiling">The tiles; null decodes each image whole.</param>
    /// <param name="latent">Latents [batch, C, height, width].</param>
    /// <param name="batch">Number of images.</param>
    /// <param name="height">Rows of the latent.</param>
    /// <param name="width">Columns of the latent.</param>
    /// <param name="cancellationToken">Ends the run early.</param>
    /// <exception cref="ShapeException">The images together are larger than an array can be.</exception>
    public static ImagePlanes Decode(IVaeDecoder decoder, ImageTiling? tiling, float[] latent, int batch, int height, int width,
        CancellationToken cancellationToken)
    {
        int channels = (int)(latent.Length / ((long)batch * height * width));
        (int tile, int overlap) = (tiling?.Tile ?? Math.Max(height, width), tiling?.Overlap ?? 0);
        (int Start, int Count)[] rows = DecoderTiles.Split(height, tile, overlap), columns = DecoderTiles.Split(width, tile, overlap);
        float[]? result = null;
        int scale = 0;
        TileRamp[] down = [], across = [];
        for (int b = 0; b < batch; b++)
        {
            for (int y = 0; y < rows.Length; y++)
            {
                for (int x = 0; x < columns.Length; x++)
                {
                    float[] cut = Cut(latent.AsSpan(b * channels * height * width), channels, (height, width), rows[y], columns[x]);
                    ImagePlanes part = decoder.Decode(cut, 1, rows[y].Count, columns[x].Count, cancellationToken);
                    if (result is null)
                    {
                        scale = part.Width / columns[x].Count;
                        down = TileRamp.Along(rows, scale, scale * overlap, last: scale);
                        across = TileRamp.Along(columns, scale, scale * overlap, last: scale);
                        result = new float[Values(batch, height, width, scale)];
                    }

                    int plane = scale * height * scale * width;
                    Add(result.AsSpan(3 * b * plane, 3 * plane), (scale * height, scale * width), part.Values, down[y], across[x]);
                }
            }
        }

        return new ImagePlanes(batch, scale * height, scale * width, result!);
    }

    private static int Values(int batch, int height, int width, int scale)
    {
        long values = 3L * batch * height * scale * width * scale;
        return values <= Array.MaxLength ? (int)values : throw new ShapeException(
            $"{batch} images of {scale * width}x{scale * height} are {values:N0} values; at most {Array.MaxLength:N0} can be held together");
    }

    private static float[] Cut(ReadOnlySpan<float> latent, int channels, (int Height, int Width) size, (int Start, int Count) rows,
        (int Start, int Count) columns)
    {
        float[] result = new float[channels * rows.Count * columns.Count];
        int at = 0;
        for (int c = 0; c < channels; c++)
        {
            for (int y = 0; y < rows.Count; y++, at += columns.Count)
            {
                int from = (((c * size.Height) + rows.Start + y) * size.Width) + columns.Start;
                latent.Slice(from, columns.Count).CopyTo(result.AsSpan(at));
            }
        }

        return result;
    }

    /// <summary>Adds a tile [3, h, w] to the image [3, H, W], weighted.</summary>
    private static void Add(Span<float> image, (int Height, int Width) size, float[] tile, in TileRamp down, in TileRamp across)
    {
        int width = across.Weights.Length, at = 0;
        for (int c = 0; c < 3; c++)
        {
            for (int y = 0; y < down.Weights.Length; y++, at += width)
            {
                int row = ((c * size.Height) + down.Start + y) * size.Width;
                Span<float> target = image.Slice(row + across.Start, width);
                ReadOnlySpan<float> source = tile.AsSpan(at, width);
                for (int x = 0; x < width; x++)
                {
                    target[x] += down.Weights[y] * across.Weights[x] * source[x];
                }
            }
        }
    }
}
