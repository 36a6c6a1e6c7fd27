using System.Diagnostics;
using System.Text;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Imaging;

public sealed class VideoEncoderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_gif_has_every_frame_and_lasts_as_long_as_the_frame_rate_says()
    {
        IReadOnlyList<string> written = await Ffmpeg().EncodeAsync(Frames(10), 8, _folder.File("a.gif"), cancellationToken: Cancel);
        Assert.Equal([_folder.File("a.gif")], written);
        (int width, int height, int frames, int duration) = GifFile.Read(_folder.File("a.gif"));
        Assert.Equal((32, 16, 10), (width, height, frames));
        Assert.InRange(duration, 120, 130);
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("a.mp4", 4, "ftyp")]
    [InlineData("a.WEBM", 0, "\u001aE")]
    [InlineData("a.webp", 8, "WEBP")]
    public async Task Other_formats_are_what_their_extension_says(string name, int offset, string mark)
    {
        await Ffmpeg().EncodeAsync(Frames(10), 16, _folder.File(name), [new("parameters", "a prompt")], Cancel);
        string bytes = Encoding.Latin1.GetString(File.ReadAllBytes(_folder.File(name)));
        Assert.Equal(mark, bytes.Substring(offset, mark.Length));
        if (name == "a.webp")
        {
            Assert.Equal(10, bytes.Split("ANMF").Length - 1);
        }
        else
        {
            Assert.Contains("a prompt", bytes, StringComparison.Ordinal);
        }

        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public async Task A_failing_program_is_quoted_and_leaves_the_old_file_alone()
    {
        FfmpegVideoEncoder encoder = Script("for file do :; done; echo half > \"$file\"; echo first >&2; echo the codec is missing >&2; exit 7");
        await File.WriteAllTextAsync(_folder.File("a.mp4"), "old", Cancel);
        IOException e = await Assert.ThrowsAsync<IOException>(() => encoder.EncodeAsync(Frames(200), 16, _folder.File("a.mp4"), cancellationToken: Cancel));
        Assert.Contains("code 7: the codec is missing", e.Message, StringComparison.Ordinal);
        Assert.Equal("old", await File.ReadAllTextAsync(_folder.File("a.mp4"), Cancel));
        Assert.Equal(["a.mp4", "ffmpeg.sh"], Names());
    }

    [Fact]
    public async Task Cancellation_ends_a_program_that_hangs_and_leaves_nothing()
    {
        FfmpegVideoEncoder encoder = Script("for file do :; done; echo half > \"$file\"; exec /bin/sleep 600");
        using CancellationTokenSource source = new(TimeSpan.FromMilliseconds(300));
        long start = Stopwatch.GetTimestamp();

        // More frames than a pipe holds: the writing side hangs as well.
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => encoder.EncodeAsync(Frames(1000), 16, _folder.File("a.mp4"), cancellationToken: source.Token));
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(1), "the program was waited for");
        Assert.Equal(["ffmpeg.sh"], Names());
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named()
    {
        IOException e = await Assert.ThrowsAsync<IOException>(
            () => new FfmpegVideoEncoder(_folder.File("nothing")).EncodeAsync(Frames(2), 16, _folder.File("a.mp4"), cancellationToken: Cancel));
        Assert.Contains("nothing does not start", e.Message, StringComparison.Ordinal);
        Assert.Empty(Names());
    }

    [Fact]
    public async Task Numbered_frames_are_written_in_order()
    {
        Image[] frames = Frames(12);
        IReadOnlyList<string> written = await new PngSequenceEncoder().EncodeAsync(frames, 16, _folder.File("a.mp4"), [new("parameters", "a prompt")], Cancel);
        Assert.Equal(Enumerable.Range(1, 12).Select(i => _folder.File($"a-{i:0000}.png")), written);
        Assert.Equal(12, Names().Length);
        for (int i = 0; i < frames.Length; i++)
        {
            using FileStream stream = File.OpenRead(written[i]);
            Assert.Equal(frames[i].Pixels, PngDecoder.Decode(stream).Pixels);
        }
    }

    [Fact]
    public async Task Cancelled_frames_are_not_written_at_all()
    {
        using CancellationTokenSource source = new();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new PngSequenceEncoder().EncodeAsync(Frames(50), 16, _folder.File("a.png"), cancellationToken: source.Token));
        Assert.Empty(Names());
    }

    [Fact]
    public async Task What_is_no_video_is_refused()
    {
        async Task<string> Refused(Image[] frames, double fps, string name) => (await Assert.ThrowsAnyAsync<Exception>(
            () => new FfmpegVideoEncoder("ffmpeg").EncodeAsync(frames, fps, _folder.File(name), cancellationToken: Cancel))).Message;

        Assert.Contains("at least one frame", await Refused([], 16, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("32x16 and of 1x1", await Refused([.. Frames(1), new Image(1, 1, new byte[3])], 16, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("frame rate", await Refused(Frames(1), double.NaN, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("not as \".avi\"", await Refused(Frames(1), 16, "a.avi"), StringComparison.Ordinal);
        Assert.Contains("create it first", await Refused(Frames(1), 16, "no/a.mp4"), StringComparison.Ordinal);
    }

    private static FfmpegVideoEncoder Ffmpeg()
    {
        string? program = FfmpegVideoEncoder.Find();
        Assert.SkipWhen(program is null, "ffmpeg is not on the PATH");
        return new FfmpegVideoEncoder(program!);
    }

    private FfmpegVideoEncoder Script(string body)
    {
        string path = _folder.File("ffmpeg.sh");
        ShellScript.Write(path, body);
        return new FfmpegVideoEncoder(path);
    }

    private string[] Names() => [.. Directory.EnumerateFileSystemEntries(_folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];

    /// <summary>A white bar that moves right over a grey ground.</summary>
    private static Image[] Frames(int count) => [.. Enumerable.Range(0, count).Select(f =>
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
