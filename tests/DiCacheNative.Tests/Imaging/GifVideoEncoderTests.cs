using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Imaging;

public sealed class GifVideoEncoderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(25, 10, 40)]
    [InlineData(50, 10, 20)]
    [InlineData(16, 17, 106)]
    [InlineData(8, 10, 125)]
    [InlineData(24, 240, 1000)]
    [InlineData(29.97, 100, 334)]
    [InlineData(0.5, 3, 600)]
    public async Task A_gif_has_every_frame_and_lasts_as_long_as_the_frame_rate_says(double fps, int count, int hundredths)
    {
        await new GifVideoEncoder().EncodeAsync(Bars(count), fps, _folder.File("a.gif"), cancellationToken: Cancel);
        Assert.Equal((32, 16, count, hundredths), GifFile.Read(_folder.File("a.gif")));
        int[] delays = GifVideoEncoder.Delays(count, fps);
        Assert.True(delays.Max() - delays.Min() <= 1, string.Join(' ', delays));
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_rate_that_no_viewer_shows_is_refused()
    {
        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(() =>
            new GifVideoEncoder().EncodeAsync(Bars(2), 60, _folder.File("a.gif"), cancellationToken: Cancel));
        Assert.Contains("at most 50 frames a second", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task Few_colours_are_kept_exactly()
    {
        Image[] frames = Bars(12);
        await new GifVideoEncoder().EncodeAsync(frames, 25, _folder.File("a.gif"), cancellationToken: Cancel);
        Assert.All(frames.Zip(Decode("a.gif")), pair => Assert.Equal(pair.First.Pixels, pair.Second));
    }

    [Fact]
    public async Task Many_colours_are_shown_without_noise_and_a_still_picture_stands_still()
    {
        Image golden = ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", "0.png")),
            other = ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", "1.png"));
        await new GifVideoEncoder().EncodeAsync([golden, golden, other, golden], 25, _folder.File("a.gif"), cancellationToken: Cancel);
        byte[][] shown = Decode("a.gif");
        Assert.Equal(shown[0], shown[1]);
        Assert.Equal(shown[0], shown[3]);
        double error = golden.Pixels.Zip(shown[0], (a, b) => Math.Pow(a - b, 2)).Average(), psnr = 10 * Math.Log10(255 * 255 / error);
        Assert.True(psnr > 40, $"{psnr:0.0} dB");

        // Dithering is what makes one colour of a smooth area two: a pixel of the same colour as its neighbour stays so.
        for (int p = 3; p < golden.Pixels.Length; p += 3)
        {
            if (golden.Pixels.AsSpan(p - 3, 3).SequenceEqual(golden.Pixels.AsSpan(p, 3)))
            {
                Assert.Equal(shown[0][(p - 3)..p], shown[0][p..(p + 3)]);
            }
        }
    }

    [Fact]
    public async Task The_same_frames_give_the_same_bytes()
    {
        Image golden = ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", "0.png"));
        foreach (string name in new[] { "a.gif", "b.gif" })
        {
            await new GifVideoEncoder().EncodeAsync([golden, golden], 16, _folder.File(name), cancellationToken: Cancel);
        }

        Assert.Equal(await File.ReadAllBytesAsync(_folder.File("a.gif"), Cancel),
            await File.ReadAllBytesAsync(_folder.File("b.gif"), Cancel));
    }

    [Fact]
    public async Task A_cancelled_gif_is_not_written()
    {
        using CancellationTokenSource source = new();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            new GifVideoEncoder().EncodeAsync(Bars(3), 16, _folder.File("a.gif"), cancellationToken: source.Token));
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    private byte[][] Decode(string name)
    {
        using SixLabors.ImageSharp.Image<SixLabors.ImageSharp.PixelFormats.Rgb24> image =
            SixLabors.ImageSharp.Image.Load<SixLabors.ImageSharp.PixelFormats.Rgb24>(_folder.File(name));
        byte[][] shown = new byte[image.Frames.Count][];
        for (int i = 0; i < shown.Length; i++)
        {
            shown[i] = new byte[3 * image.Width * image.Height];
            image.Frames[i].CopyPixelDataTo(shown[i]);
        }

        return shown;
    }

    /// <summary>A white bar that moves right over a grey ground.</summary>
    internal static Image[] Bars(int count) => [.. Enumerable.Range(0, count).Select(f =>
    {
        byte[] pixels = new byte[3 * 32 * 16];
        Array.Fill(pixels, (byte)90);
        for (int y = 0; y < 16; y++)
        {
            pixels.AsSpan(3 * ((y * 32) + (f % 30)), 6).Fill(255);
        }

        return new Image(32, 16, pixels);
    })];
}
