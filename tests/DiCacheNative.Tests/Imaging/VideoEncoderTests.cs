using System.Diagnostics;
using System.Text;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Imaging;

public sealed class VideoEncoderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("a.mp4", 4, "ftyp")]
    [InlineData("a.WEBM", 0, "\u001aE")]
    [InlineData("a.webp", 8, "WEBP")]
    public async Task Other_formats_are_what_their_extension_says(string name, int offset, string mark)
    {
        await Ffmpeg().EncodeAsync(GifVideoEncoderTests.Bars(10), 16, _folder.File(name), [new("parameters", "a prompt")], Cancel);
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
        IOException e = await Assert.ThrowsAsync<IOException>(() => encoder.EncodeAsync(GifVideoEncoderTests.Bars(200), 16, _folder.File("a.mp4"), cancellationToken: Cancel));
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
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => encoder.EncodeAsync(GifVideoEncoderTests.Bars(1000), 16, _folder.File("a.mp4"), cancellationToken: source.Token));
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromMinutes(1), "the program was waited for");
        Assert.Equal(["ffmpeg.sh"], Names());
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named()
    {
        IOException e = await Assert.ThrowsAsync<IOException>(
            () => new FfmpegVideoEncoder(_folder.File("nothing")).EncodeAsync(GifVideoEncoderTests.Bars(2), 16, _folder.File("a.mp4"), cancellationToken: Cancel));
        Assert.Contains("nothing does not start", e.Message, StringComparison.Ordinal);
        Assert.Empty(Names());
    }

    [Fact]
    public async Task Numbered_frames_are_written_in_order()
    {
        Image[] frames = GifVideoEncoderTests.Bars(12);
        IReadOnlyList<string> written = await new PngSequenceEncoder().EncodeAsync(frames, 16, _folder.File("a.mp4"), [new("parameters", "a prompt")], Cancel);
        Assert.Equal(Enumerable.Range(1, 12).Select(i => _folder.File($"a-{i:0000}.png")), written);
        Assert.Equal(12, Names().Length);
        for (int i = 0; i < frames.Length; i++)
        {
            Assert.Equal(frames[i].Pixels, ImageFile.Load(written[i]).Pixels);
        }
    }

    [Fact]
    public async Task Cancelled_frames_are_not_written_at_all()
    {
        using CancellationTokenSource source = new();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new PngSequenceEncoder().EncodeAsync(GifVideoEncoderTests.Bars(50), 16, _folder.File("a.png"), cancellationToken: source.Token));
        Assert.Empty(Names());
    }

    [Fact]
    public async Task What_is_no_video_is_refused()
    {
        async Task<string> Refused(Image[] frames, double fps, string name) => (await Assert.ThrowsAnyAsync<Exception>(
            () => new FfmpegVideoEncoder("ffmpeg").EncodeAsync(frames, fps, _folder.File(name), cancellationToken: Cancel))).Message;

        Assert.Contains("at least one frame", await Refused([], 16, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("32x16 and of 1x1", await Refused([.. GifVideoEncoderTests.Bars(1), new Image(1, 1, new byte[3])], 16, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("frame rate", await Refused(GifVideoEncoderTests.Bars(1), double.NaN, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("not as \".avi\"", await Refused(GifVideoEncoderTests.Bars(1), 16, "a.avi"), StringComparison.Ordinal);
        Assert.Contains("create it first", await Refused(GifVideoEncoderTests.Bars(1), 16, "no/a.mp4"), StringComparison.Ordinal);
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
}
