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
    public async Task Formats_are_what_their_extension_says_and_the_same_frames_give_the_same_bytes(string name, int offset, string mark)
    {
        SkipWithout(name);
        Image[] frames = GifVideoEncoderTests.Bars(10);
        await frames.SaveAsync(16, _folder.File(name), [new("parameters", "a prompt")], Cancel);
        byte[] first = await File.ReadAllBytesAsync(_folder.File(name), Cancel);
        string text = Encoding.Latin1.GetString(first);
        Assert.Equal(mark, text.Substring(offset, mark.Length));
        if (name == "a.webp")
        {
            Assert.Equal(10, text.Split("ANMF").Length - 1);
        }
        else
        {
            Assert.Contains("a prompt", text, StringComparison.Ordinal);
        }

        await frames.SaveAsync(16, _folder.File(name), [new("parameters", "a prompt")], Cancel);
        Assert.Equal(first, await File.ReadAllBytesAsync(_folder.File(name), Cancel));
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Theory]
    [InlineData("a.mp4")]
    [InlineData("a.webm")]
    [InlineData("a.webp")]
    [InlineData("a.gif")]
    [InlineData("a.png")]
    public async Task A_full_disk_gives_the_whole_video_or_an_error_and_the_old_file(string name)
    {
        SkipWithout(name);
        Image golden = ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", "0.png")),
            other = ImageFile.Load(Repository.File("tests", "golden", "shapes-flux", "1.png"));
        Image[] frames = [golden, other, golden];
        IReadOnlyList<string> whole = await frames.SaveAsync(8, _folder.File(name), cancellationToken: Cancel);
        string[] names = [.. whole.Select(w => Path.GetFileName(w)!)];
        using SmallDisk disk = new();
        (int failed, int written) = (0, 0);
        for (int free = 0; free <= 56 * 1024; free += 4096)
        {
            disk.Fill(free);
            foreach (string each in names)
            {
                File.Delete(disk.File(each));
            }

            await File.WriteAllTextAsync(disk.File(names[0]), string.Empty, Cancel);
            try
            {
                await frames.SaveAsync(8, disk.File(name), cancellationToken: Cancel);
                written++;
                Assert.Equal(names, disk.Names());
                foreach ((string one, string same) in names.Zip(whole))
                {
                    Assert.Equal(await File.ReadAllBytesAsync(same, Cancel), await File.ReadAllBytesAsync(disk.File(one), Cancel));
                }
            }
            catch (IOException e)
            {
                failed++;
                Assert.Contains("the disk is full", e.Message, StringComparison.Ordinal);
                Assert.Equal([names[0]], disk.Names());
                Assert.Equal(0, new FileInfo(disk.File(names[0])).Length);
            }
        }

        Assert.True(failed > 0 && written > 0, $"{failed} failed, {written} were written");
    }

    [Theory]
    [InlineData("echo half > \"$file\"; echo first >&2; echo the codec is missing >&2; exit 7",
        "ffmpeg ended with code 7: the codec is missing")]
    [InlineData("/bin/cat > /dev/null; echo half > \"$file\"; echo Error writing trailer >&2; exit 0",
        "ended as if all were well, but said: Error writing trailer")]
    [InlineData("/bin/cat > /dev/null; exit 0", "ended as if all were well, but wrote nothing")]
    [InlineData("/bin/cat > /dev/null; echo half > \"$file\"; kill -9 $$", "ffmpeg ended with code 137")]
    [InlineData("/bin/cat > /dev/null; echo half > \"$file\"; exec /bin/sleep 600",
        "neither took frames nor reported progress for 2 seconds")]
    [InlineData("echo half > \"$file\"; exec /bin/sleep 600", "neither took frames nor reported progress for 2 seconds")]
    [InlineData("/bin/rm \"$file\"; exit 0", "cannot be written")]
    public async Task A_failing_program_is_quoted_and_leaves_the_old_file_alone(string body, string told)
    {
        FakeFfmpeg.Write(_folder.File("ffmpeg.sh"), body);
        await File.WriteAllTextAsync(_folder.File("a.mp4"), "old", Cancel);
        FfmpegVideoEncoder encoder = new(_folder.File("ffmpeg.sh"), null, TimeSpan.FromSeconds(2));

        // More frames than a pipe holds.
        IOException e = await Assert.ThrowsAnyAsync<IOException>(() =>
            encoder.EncodeAsync(GifVideoEncoderTests.Bars(200), 16, _folder.File("a.mp4"), cancellationToken: Cancel));
        Assert.StartsWith($"{_folder.File("a.mp4")} cannot be written: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(told, e.Message, StringComparison.Ordinal);
        Assert.Equal("old", await File.ReadAllTextAsync(_folder.File("a.mp4"), Cancel));
        Assert.Equal(["a.mp4", "ffmpeg.sh"], Names());
    }

    [Fact]
    public async Task A_slow_program_that_reports_progress_is_waited_for()
    {
        FakeFfmpeg.Write(_folder.File("ffmpeg.sh"),
            "/bin/cat > /dev/null; for i in 1 2 3 4 5 6; do echo frame=$i; /bin/sleep 1; done; echo done > \"$file\"");
        FfmpegVideoEncoder encoder = new(_folder.File("ffmpeg.sh"), null, TimeSpan.FromSeconds(4));
        await encoder.EncodeAsync(GifVideoEncoderTests.Bars(2), 16, _folder.File("a.mp4"), cancellationToken: Cancel);
        Assert.Equal("done\n", await File.ReadAllTextAsync(_folder.File("a.mp4"), Cancel));
    }

    [Fact]
    public async Task Cancellation_ends_a_program_that_hangs_and_leaves_nothing()
    {
        FakeFfmpeg.Write(_folder.File("ffmpeg.sh"), "echo half > \"$file\"; exec /bin/sleep 600");
        using CancellationTokenSource source = new(TimeSpan.FromMilliseconds(300));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => new FfmpegVideoEncoder(_folder.File("ffmpeg.sh")).EncodeAsync(GifVideoEncoderTests.Bars(1000), 16, _folder.File("a.mp4"),
                cancellationToken: source.Token));
        Assert.Equal(["ffmpeg.sh"], Names());
    }

    [Fact]
    public async Task A_program_that_does_not_exist_is_named()
    {
        IOException e = await Assert.ThrowsAsync<IOException>(
            () => new FfmpegVideoEncoder(_folder.File("nothing")).EncodeAsync(GifVideoEncoderTests.Bars(2), 16, _folder.File("a.mp4"),
                cancellationToken: Cancel));
        Assert.Contains("nothing does not start", e.Message, StringComparison.Ordinal);
        Assert.Empty(Names());
    }

    [Fact]
    public async Task An_encoder_that_the_program_has_is_chosen_and_none_is_told()
    {
        FakeFfmpeg.Write(_folder.File("ffmpeg.sh"), "/bin/cat > /dev/null; echo \"$*\" > \"$file\"");
        await new FfmpegVideoEncoder(_folder.File("ffmpeg.sh"), new HashSet<string> { "mpeg4" }).EncodeAsync(GifVideoEncoderTests.Bars(2),
            16, _folder.File("a.mp4"), cancellationToken: Cancel);
        Assert.Contains("-c:v mpeg4 ", await File.ReadAllTextAsync(_folder.File("a.mp4"), Cancel), StringComparison.Ordinal);
        IOException e = await Assert.ThrowsAsync<IOException>(
            () => new FfmpegVideoEncoder(_folder.File("ffmpeg.sh"),
                new HashSet<string> { "mpeg4" }).EncodeAsync(GifVideoEncoderTests.Bars(2), 16, _folder.File("a.webm"),
                cancellationToken: Cancel));
        Assert.Contains("has no encoder for .webm (wanted: libvpx-vp9, ", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_prompt_of_any_length_fits()
    {
        FakeFfmpeg.Write(_folder.File("ffmpeg.sh"), "/bin/cat > /dev/null; echo done > \"$file\"");
        await new FfmpegVideoEncoder(_folder.File("ffmpeg.sh")).EncodeAsync(
            GifVideoEncoderTests.Bars(2), 16, _folder.File("a.mp4"), [new("parameters", new string('é', 300_000))], Cancel);
        Assert.Equal("done\n", await File.ReadAllTextAsync(_folder.File("a.mp4"), Cancel));
    }

    [Theory]
    [InlineData("a.mp4", "a-0001.png", "a-0012.png")]
    [InlineData("a.png", "a-0001.png", "a-0012.png")]
    [InlineData("f_%d.png", "f_1.png", "f_12.png")]
    [InlineData("f%03dx.png", "f001x.png", "f012x.png")]
    [InlineData("100%.png", "100%-0001.png", "100%-0012.png")]
    public async Task Numbered_frames_are_written_in_order(string name, string first, string last)
    {
        Image[] frames = GifVideoEncoderTests.Bars(12);
        IReadOnlyList<string> written =
            await new PngSequenceEncoder().EncodeAsync(frames, 16, _folder.File(name), [new("parameters", "a prompt")], Cancel);
        Assert.Equal((_folder.File(first), _folder.File(last), 12), (written[0], written[^1], written.Count));
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
            () => new PngSequenceEncoder().EncodeAsync(GifVideoEncoderTests.Bars(50), 16, _folder.File("a.png"),
                cancellationToken: source.Token));
        Assert.Empty(Names());
    }

    [Fact]
    public async Task What_is_no_video_is_refused()
    {
        async Task<string> Refused(Image[] frames, double fps, string name) => (await Assert.ThrowsAnyAsync<Exception>(
            () => new FfmpegVideoEncoder("ffmpeg").EncodeAsync(frames, fps, _folder.File(name), cancellationToken: Cancel))).Message;

        Assert.Contains("at least one frame", await Refused([], 16, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("32x16 and of 1x1", await Refused([.. GifVideoEncoderTests.Bars(1), new Image(1, 1, new byte[3])], 16, "a.mp4"),
            StringComparison.Ordinal);
        Assert.Contains("frame rate", await Refused(GifVideoEncoderTests.Bars(1), double.NaN, "a.mp4"), StringComparison.Ordinal);
        Assert.Contains("not for \".avi\"", await Refused(GifVideoEncoderTests.Bars(1), 16, "a.avi"), StringComparison.Ordinal);
        Assert.Contains("create it first", await Refused(GifVideoEncoderTests.Bars(1), 16, "no/a.mp4"), StringComparison.Ordinal);
        ArgumentException e = await Assert.ThrowsAsync<ArgumentException>(() =>
            GifVideoEncoderTests.Bars(1).SaveAsync(16, "a.avi", cancellationToken: Cancel));
        Assert.Contains(".mp4, .webm, .webp, .gif, .png, not as \".avi\"", e.Message, StringComparison.Ordinal);
    }

    private static void SkipWithout(string name)
    {
        string? told = null;
        Assert.SkipWhen(VideoFile.Find(name, out told) is null, told ?? string.Empty);
    }

    private string[] Names() =>
        [.. Directory.EnumerateFileSystemEntries(_folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];
}
