using DiCacheNative.Tensors;

namespace DiCacheNative.Imaging;

/// <summary>Images as an autoencoder gives them: [B, 3, H, W], each value nominally in [-1, 1].</summary>
public sealed class ImagePlanes
{
    /// <summary>Wraps values; nothing is copied.</summary>
    /// <param name="batch">Number of images, B.</param>
    /// <param name="height">Rows, H.</param>
    /// <param name="width">Columns, W.</param>
    /// <param name="values">[B, 3, H, W].</param>
    /// <exception cref="ShapeException">The values do not have this size.</exception>
    /// <exception cref="NonFiniteException">A value is NaN or infinite: there is no colour for it.</exception>
    public ImagePlanes(int batch, int height, int width, float[] values)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentNullException.ThrowIfNull(values);
        if (values.Length != 3L * batch * height * width)
        {
            throw new ShapeException($"images [{batch}, 3, {height}, {width}] cannot hold {values.Length:N0} values");
        }

        int broken = FirstNotFinite(values);
        if (broken >= 0)
        {
            throw new NonFiniteException(
                $"the decoder gave pixels that are not finite ({values[broken]} in picture {broken / (3 * height * width)}): "
                + "its graph, or the scaling of the latents, cannot be used");
        }

        (Batch, Height, Width, Values) = (batch, height, width, values);
    }

    /// <summary>Number of images, B.</summary>
    public int Batch { get; }

    /// <summary>Rows, H.</summary>
    public int Height { get; }

    /// <summary>Columns, W.</summary>
    public int Width { get; }

    /// <summary>[B, 3, H, W].</summary>
    public float[] Values { get; }

    /// <summary>
    /// One image in 8 bits: x / 2 + 0.5, clamped to [0, 1], times 255, rounded half to even.
    /// </summary>
    /// <param name="sample">Which image, from 0.</param>
    /// <remarks>
    /// The same steps in the same order and precision (binary32) as diffusers' image processor, so the bytes are the same.
    /// </remarks>
    public Image ToImage(int sample = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(sample);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(sample, Batch);
        int plane = Height * Width;
        ReadOnlySpan<float> red = Values.AsSpan(sample * 3 * plane, plane);
        ReadOnlySpan<float> green = Values.AsSpan(((sample * 3) + 1) * plane, plane);
        ReadOnlySpan<float> blue = Values.AsSpan(((sample * 3) + 2) * plane, plane);
        byte[] pixels = new byte[3 * plane];
        for (int i = 0, p = 0; i < plane; i++, p += 3)
        {
            pixels[p] = ToByte(red[i]);
            pixels[p + 1] = ToByte(green[i]);
            pixels[p + 2] = ToByte(blue[i]);
        }

        return new Image(Width, Height, pixels);
    }

    private static byte ToByte(float value)
    {
        float unit = Math.Clamp((value / 2f) + 0.5f, 0f, 1f);
        return (byte)MathF.Round(unit * 255f, MidpointRounding.ToEven);
    }

    private static int FirstNotFinite(ReadOnlySpan<float> values)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
