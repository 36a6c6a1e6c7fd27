using DiCacheNative.Imaging;
using DiCacheNative.Models;
using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Onnx;

public class OnnxVideoDecoderTests
{
    private const int Channels = 16;

    private static readonly string Model = Repository.File("models", "shapes-wan", "vae_decoder", "model.onnx");

    public static TheoryData<int, int, int, int> OneTile() => new() { { 5, 8, 8, 1 }, { 6, 9, 12, 3 } };

    [Theory]
    [MemberData(nameof(OneTile))]
    public void Latents_that_fit_into_one_tile_are_decoded_exactly(int frames, int height, int width, int overlap)
    {
        VideoTiling tiling = new() { Tile = new LatentSize(frames, height, width), Overlap = new LatentSize(overlap, overlap, overlap) };
        ImagePlanes whole = Decode(new LatentSize(5, 8, 8)), tiled = Decode(new LatentSize(5, 8, 8), tiling);
        Assert.Equal((17, 64, 64), (tiled.Batch, tiled.Height, tiled.Width));
        Assert.Equal(whole.Values, tiled.Values);
    }

    [Fact]
    public void Tiles_in_space_change_only_what_they_share()
    {
        LatentSize size = new(1, 24, 26);
        ImagePlanes whole = Decode(size), tiled = Decode(size, new VideoTiling { Tile = new LatentSize(5, 16, 17), Overlap = new LatentSize(1, 8, 8) });

        // The decoder sees less than 8 latents to each side, so tiles agree with the whole outside their overlap.
        (double outside, double inside) = Differences(whole, tiled, (_, y, x) => y is >= 64 and < 128 || x is >= 72 and < 136);
        Assert.True(outside <= 1e-5, $"outside the overlap the values differ by {outside}");
        Assert.True(inside is > 0 and <= 0.1, $"inside the overlap the values differ by {inside}");
    }

    [Fact]
    public void Tiles_in_time_leave_the_past_alone_and_follow_it_closely()
    {
        LatentSize size = new(9, 4, 4);
        ImagePlanes whole = Decode(size), tiled = Decode(size, new VideoTiling { Tile = new LatentSize(6, 32, 32), Overlap = new LatentSize(3, 8, 8) });
        Assert.Equal(33, tiled.Batch);

        // The second tile begins at latent frame 3, frame 12, without the past. These latents are noise: nothing in them is steady in time.
        (double before, double after) = Differences(whole, tiled, (f, _, _) => f >= 12);
        Assert.True(before <= 1e-5, $"before the second tile the values differ by {before}");
        Assert.True(after is > 0 and <= 0.15, $"from the second tile on the values differ by {after}");
    }

    [Theory]
    [InlineData(4, 3)]
    [InlineData(4, 0)]
    [InlineData(0, 1)]
    public void Tiles_that_overlap_by_more_than_half_or_nothing_are_refused(int tile, int overlap)
    {
        VideoTiling tiling = new() { Tile = new LatentSize(tile, tile, tile), Overlap = new LatentSize(overlap, overlap, overlap) };
        Assert.Contains("cannot overlap", Assert.Throws<ArgumentException>(() => OnnxVideoDecoder.Load(Model, 1, tiling)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_latent_of_a_wrong_size_is_refused()
    {
        using OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(Model, 1);
        ShapeException e = Assert.Throws<ShapeException>(() =>
            decoder.Decode(new float[15 * 16], new LatentSize(1, 4, 4), TestContext.Current.CancellationToken));
        Assert.Contains("not [16, 1, 4, 4]", e.Message, StringComparison.Ordinal);
        Assert.Throws<ShapeException>(() => decoder.Decode([], new LatentSize(0, 4, 4), TestContext.Current.CancellationToken));
    }

    [Fact]
    public void A_decoder_of_images_is_refused()
    {
        ModelFormatException e = Assert.Throws<ModelFormatException>(() =>
            OnnxVideoDecoder.Load(Repository.File("models", "shapes-flux", "vae_decoder", "model.onnx"), 1));
        Assert.Contains("no video decoder", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Frames_that_are_not_finite_are_an_error()
    {
        using OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(Model, 1);
        float[] latent = new float[Channels * 16];
        latent[3] = float.NaN;
        NonFiniteException e = Assert.Throws<NonFiniteException>(() => decoder.Decode(latent, new LatentSize(1, 4, 4), TestContext.Current.CancellationToken));
        Assert.Contains("NaN or infinity", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cancelled_decoding_throws()
    {
        using OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(Model, 1);
        using CancellationTokenSource soon = new(TimeSpan.FromMilliseconds(20));

        // 33 frames of 512 x 512 take seconds.
        Assert.ThrowsAny<OperationCanceledException>(() => decoder.Decode(new float[Channels * 9 * 64 * 64], new LatentSize(9, 64, 64), soon.Token));
    }

    private static ImagePlanes Decode(LatentSize size, VideoTiling? tiling = null)
    {
        tiling ??= new VideoTiling { Tile = new LatentSize(99, 99, 99), Overlap = new LatentSize(1, 1, 1) };
        using OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(Model, 2, tiling);
        float[] latent = new float[Channels * size.Positions];
        new TorchRandom(1).Fill(latent);
        return decoder.Decode(latent, size, TestContext.Current.CancellationToken);
    }

    /// <summary>Largest differences where the condition on frame, row and column does not hold, and where it does.</summary>
    private static (double Outside, double Inside) Differences(ImagePlanes a, ImagePlanes b, Func<int, int, int, bool> isInside)
    {
        Assert.Equal((a.Batch, a.Height, a.Width), (b.Batch, b.Height, b.Width));
        double outside = 0, inside = 0;
        for (int i = 0; i < a.Values.Length; i++)
        {
            double difference = Math.Abs(a.Values[i] - b.Values[i]);
            if (isInside(i / (3 * a.Height * a.Width), i / a.Width % a.Height, i % a.Width))
            {
                inside = Math.Max(inside, difference);
            }
            else
            {
                outside = Math.Max(outside, difference);
            }
        }

        return (outside, inside);
    }
}
