using DiCacheNative.Tensors;

namespace DiCacheNative.Imaging;

/// <summary>A picture of 8-bit RGB pixels.</summary>
public sealed class Image
{
    /// <summary>Wraps pixels; nothing is copied.</summary>
    /// <param name="width">Pixels per row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="pixels">Red, green and blue of every pixel, row by row from the top: 3 x width x height bytes.</param>
    /// <exception cref="ShapeException">The pixels do not have this size.</exception>
    public Image(int width, int height, byte[] pixels)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentNullException.ThrowIfNull(pixels);
        if (pixels.Length != 3L * width * height)
        {
            throw new ShapeException($"an RGB image of {width} x {height} needs {3L * width * height:N0} bytes, not {pixels.Length:N0}");
        }

        (Width, Height, Pixels) = (width, height, pixels);
    }

    /// <summary>Pixels per row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Red, green and blue of every pixel, row by row from the top.</summary>
    public byte[] Pixels { get; }
}
