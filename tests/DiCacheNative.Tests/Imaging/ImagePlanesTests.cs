using DiCacheNative.Imaging;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Imaging;

public class ImagePlanesTests
{
    [Fact]
    public void Values_are_clamped_and_rounded_half_to_even()
    {
        // x / 2 + 0.5 times 255: -1 -> 0, 1 -> 255, 0 -> 127.5 (even: 128), -0.5 -> 63.75, 2 and more above, -2 and less below.
        float[] red = [-1, 1, 0, -0.5f, 2, -2, float.MaxValue, float.MinValue];
        var planes = new ImagePlanes(1, 1, red.Length, [.. red, .. new float[2 * red.Length]]);

        byte[] pixels = planes.ToImage().Pixels;

        Assert.Equal([0, 255, 128, 64, 255, 0, 255, 0], pixels.Where((_, i) => i % 3 == 0));
        Assert.All(pixels.Where((_, i) => i % 3 != 0), p => Assert.Equal(128, p));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Pixels_that_are_not_finite_are_refused_and_not_made_black(float value)
    {
        float[] values = new float[2 * 3 * 4];
        values[^1] = value;
        NonFiniteException e = Assert.Throws<NonFiniteException>(() => new ImagePlanes(2, 2, 2, values));
        Assert.Contains("in picture 1", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Channels_and_samples_are_not_mixed_up()
    {
        // Sample s, channel c, pixel p holds the byte 40 s + 10 c + p.
        float[] values = [.. Enumerable.Range(0, 12).Select(i => ((((40 * (i / 6)) + (10 * (i / 2 % 3)) + (i % 2)) / 255f) - 0.5f) * 2f)];

        Image second = new ImagePlanes(2, 1, 2, values).ToImage(1);

        Assert.Equal([40, 50, 60, 41, 51, 61], second.Pixels);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Golden_planes_give_the_golden_picture(int index)
    {
        using SafetensorsFile golden = SafetensorsFile.Open(Repository.File("tests", "golden", "shapes-flux", $"{index}.safetensors"));

        Image image = new ImagePlanes(1, 128, 128, golden.Get("image").ToArray()).ToImage();

        Assert.Equal(ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", $"{index}.png")).Pixels, image.Pixels);
    }

    [Fact]
    public void A_wrong_number_of_values_is_refused()
    {
        Assert.Throws<ShapeException>(() => new ImagePlanes(1, 2, 2, new float[11]));
        Assert.Throws<ShapeException>(() => new Image(2, 2, new byte[11]));
    }
}
