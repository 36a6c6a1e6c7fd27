using DiCacheNative.Tensors;

namespace DiCacheNative.Pipelines;

/// <summary>FLUX's packing of latents: token (y, x) holds the 2x2 patch of all channels, in the order (channel, row, column).</summary>
public static class LatentPacking
{
    /// <summary>Planes [C, 2 h, 2 w] to tokens [h * w, 4 C].</summary>
    /// <exception cref="ShapeException">A length does not fit.</exception>
    public static void Pack(ReadOnlySpan<float> planes, Span<float> tokens, int channels, int gridHeight, int gridWidth)
    {
        Check(planes.Length, tokens.Length, channels, gridHeight, gridWidth);
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = planes[PlaneIndex(i, channels, gridHeight, gridWidth)];
        }
    }

    /// <summary>Tokens [h * w, 4 C] to planes [C, 2 h, 2 w].</summary>
    /// <exception cref="ShapeException">A length does not fit.</exception>
    public static void Unpack(ReadOnlySpan<float> tokens, Span<float> planes, int channels, int gridHeight, int gridWidth)
    {
        Check(planes.Length, tokens.Length, channels, gridHeight, gridWidth);
        for (int i = 0; i < tokens.Length; i++)
        {
            planes[PlaneIndex(i, channels, gridHeight, gridWidth)] = tokens[i];
        }
    }

    private static int PlaneIndex(int index, int channels, int gridHeight, int gridWidth)
    {
        int part = index % (4 * channels), token = index / (4 * channels);
        int channel = part / 4, y = (token / gridWidth * 2) + (part / 2 % 2), x = (token % gridWidth * 2) + (part % 2);
        return (((channel * 2 * gridHeight) + y) * 2 * gridWidth) + x;
    }

    private static void Check(int planes, int tokens, int channels, int gridHeight, int gridWidth)
    {
        long expected = 4L * channels * gridHeight * gridWidth;
        if (planes != expected || tokens != expected)
        {
            throw new ShapeException(
                $"packing {channels} channels of {2 * gridHeight}x{2 * gridWidth} needs {expected} values, not {planes} planes and {tokens} tokens");
        }
    }
}
