using DiCacheNative.Imaging;
using DiCacheNative.Tests.Imaging;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Cli;

/// <summary>Where a generation's result goes, and that it is not lost when it cannot go there.</summary>
public sealed class GenerateOutputTests : IDisposable
{
    private static readonly string[] s_image =
        ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a red circle", "-q", "--steps", "1", "-W", "64", "-H", "64"];
    private static readonly string[] s_video =
        ["generate", "-m", DiCacheProgram.VideoModelFolder, "-p", "a red circle moves right", "-q", "--steps", "1", "--video-frames", "5"];

    private readonly TemporaryFolder _folder = new(), _temporary = new(), _programs = new();

    public void Dispose()
    {
        _folder.Dispose();
        _temporary.Dispose();
        _programs.Dispose();
    }

    [Fact]
    public void Pictures_are_written_in_every_format_and_under_every_number()
    {
        Assert.Equal(0, Run("\"$@\"", [.. s_image, "-o", "a.png"]).Code);
        Image png = ImageFile.Load(_folder.File("a.png"));
        foreach (string name in new[] { "a.jpg", "a.webp", "a.bmp" })
        {
            (int code, string output, string error) = Run("\"$@\"", [.. s_image, "-o", name]);
            Assert.True(code == 0, error);
            Assert.StartsWith($"{name}: 64x64", output, StringComparison.Ordinal);
            if (name == "a.bmp")
            {
                // Written and not read: three bytes a pixel behind a header.
                Assert.InRange(new FileInfo(_folder.File(name)).Length, 3 * 64 * 64, (3 * 64 * 64) + 256);
                continue;
            }

            Image other = ImageFile.Load(_folder.File(name));
            double error2 = png.Pixels.Zip(other.Pixels, (a, b) => Math.Pow(a - b, 2)).Average();
            Assert.True(10 * Math.Log10(255 * 255 / error2) > 30, $"{name}: mean squared error {error2:0.0}");
        }

        Assert.Equal(0, Run("\"$@\"", [.. s_image, "-b", "2", "-o", "x_%02d.png"]).Code);
        Assert.Equal(png.Pixels, ImageFile.Load(_folder.File("x_00.png")).Pixels);
        Assert.NotEqual(png.Pixels, ImageFile.Load(_folder.File("x_01.png")).Pixels);
        Assert.Equal(["a.bmp", "a.jpg", "a.png", "a.webp", "x_00.png", "x_01.png"], Names(_folder));
    }

    [Fact]
    public void The_picture_says_how_to_make_it_again()
    {
        Assert.Equal(0, Run("\"$@\"", [.. s_image, "-o", "a.png", "-s", "9", "--cache-option", "threshold=0.3"]).Code);
        string text = File.ReadAllText(_folder.File("a.png"), System.Text.Encoding.Latin1);
        Assert.Contains("tEXtSoftware\0DiCacheNative", text, StringComparison.Ordinal);
        Assert.Contains("tEXtparameters\0a red circle\nSteps: 1, ", text, StringComparison.Ordinal);
        foreach (string part in new[] { "Seed: 9, ", "Size: 64x64, ", "Cache: dicache, ", "Cache options: \"profile=default,threshold=0.3,",
            "Model: shapes-flux, ", "Backend: cpu, ", "Version: " })
        {
            Assert.Contains(part, text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_dash_writes_a_png_to_standard_output_and_everything_else_to_standard_error()
    {
        (int code, string output, string error) = Run("\"$@\" > picture", [.. s_image, "-o", "-"]);
        Assert.True(code == 0, error);
        Assert.Empty(output);
        Assert.Contains("-: 64x64", error, StringComparison.Ordinal);
        Assert.Equal(64, ImageFile.Load(_folder.File("picture")).Width);
        Assert.Equal(["picture"], Names(_folder));
    }

    [Theory]
    [InlineData("\"$@\" > /dev/full")]
    [InlineData("\"$@\" >&-")]
    [InlineData("{ \"$@\"; echo $? > code; } | true; exit $(cat code)")]
    public void A_picture_that_standard_output_does_not_take_is_kept(string script)
    {
        (int code, string _, string error) = Run(script, [.. s_image, "-o", "-"]);
        Assert.Equal(3, code);
        Assert.Contains("standard output cannot be written: ", Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.EndsWith("the picture was kept as output.png", error.TrimEnd(), StringComparison.Ordinal);
        Assert.Equal(64, ImageFile.Load(_folder.File("output.png")).Width);
    }

    [Fact]
    public void A_disk_that_fills_up_while_the_picture_is_made_does_not_lose_it()
    {
        using SmallDisk disk = new(free: 12 * 1024);
        File.WriteAllText(disk.File("a.bmp"), "old");
        File.WriteAllText(disk.File("a.png"), "another picture");
        (int code, string output, string error) = Run("\"$@\"", [.. s_image, "-o", disk.File("a.bmp")]);
        Assert.Equal(3, code);
        Assert.Empty(output);
        Assert.Contains("a.bmp cannot be written: the disk is full; the picture was kept as ", Assert.Single(error.TrimEnd().Split('\n')),
            StringComparison.Ordinal);
        Assert.Equal("old another picture", $"{File.ReadAllText(disk.File("a.bmp"))} {File.ReadAllText(disk.File("a.png"))}");
        Assert.Equal(64, ImageFile.Load(AssertKept(error, "a.png")).Width);
    }

    [Theory]
    [InlineData("a.gif")]
    [InlineData("a.mp4")]
    [InlineData("a.webm")]
    [InlineData("a.webp")]
    public void A_disk_that_fills_up_while_the_video_is_made_does_not_lose_it(string name)
    {
        string? told = null;
        Assert.SkipWhen(VideoFile.Find(name, out told) is null, told ?? string.Empty);
        using SmallDisk disk = new(free: 12 * 1024);
        File.WriteAllBytes(disk.File(name), new byte[8 * 1024 - 1]);
        (int code, string _, string error) = Run("\"$@\"", [.. s_video, "-W", "128", "-H", "128", "-o", disk.File(name)]);
        if (code == 0)
        {
            Assert.NotEqual(0, new FileInfo(disk.File(name)).Length); // it was small enough; the encoder's own tests compare every byte
            return;
        }

        Assert.Equal(3, code);
        Assert.Contains($"{name} cannot be written: ", error, StringComparison.Ordinal);
        Assert.Equal(new byte[8 * 1024 - 1], File.ReadAllBytes(disk.File(name)));
        Assert.Equal([name], disk.Names());
        AssertKept(error, "a-0001.png", "a-0002.png", "a-0003.png", "a-0004.png", "a-0005.png");
    }

    [Fact]
    public void A_full_or_read_only_disk_is_told_before_the_first_step()
    {
        using SmallDisk disk = new(free: 0);
        (int code, string _, string error) =
            Run("\"$@\"", ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a red circle", "-o", disk.File("a.png")]);
        Assert.Equal((3, $"dicache: {disk.File("a.png")} cannot be written: the disk is full"), (code, error.TrimEnd()));
        disk.Fill(60 * 1024);
        disk.MakeReadOnly();
        (code, _, error) = Run("\"$@\"", ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a red circle", "-o", disk.File("a.png")]);
        Assert.Equal((3, $"dicache: {disk.File("a.png")} cannot be written: the file system is read-only"), (code, error.TrimEnd()));
        Assert.Empty(Names(_temporary));
    }

    [Fact]
    public void A_trace_that_cannot_be_written_is_kept_and_the_picture_is_there()
    {
        (int code, string _, string error) = Run("\"$@\"", [.. s_image, "-o", "a.png", "--cache-trace", "/dev/full"]);
        Assert.Equal(3, code);
        Assert.Contains("/dev/full cannot be written: the disk is full; the picture was written, and the trace was kept as ", error,
            StringComparison.Ordinal);
        Assert.Equal(64, ImageFile.Load(_folder.File("a.png")).Width);
        Assert.Single(File.ReadLines(AssertKept(error, "full")));
    }

    [Fact]
    public void A_failing_ffmpeg_gives_one_sentence_code_3_and_the_frames()
    {
        FakeFfmpeg.Write(_programs.File("ffmpeg"), "/bin/cat > /dev/null; echo half > \"$file\"; kill -9 $$");
        foreach (string first in new[] { "beside", "elsewhere" })
        {
            // The second time frames are there already, which may be another video's.
            (int code, string output, string error) =
                Run($"program=$(command -v \"$1\"); shift; PATH={_programs.Path}; \"$program\" \"$@\"", [.. s_video, "-o", "a.webm"]);
            Assert.Equal(3, code);
            Assert.Contains("a.webm cannot be written: ffmpeg ", Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
            Assert.Contains(first == "beside" ? "the frames were kept as a-0001.png to a-0005.png"
                : "the frames were kept as /", error, StringComparison.Ordinal);
            Assert.Empty(output);
            Assert.Equal(["a-0001.png", "a-0002.png", "a-0003.png", "a-0004.png", "a-0005.png"], Names(_folder));
            Assert.Equal(first == "beside" ? 0 : 1, Names(_temporary).Length);
        }
    }

    [Fact]
    public void An_ffmpeg_that_cannot_be_run_is_passed_over_and_one_with_few_encoders_is_used_and_told()
    {
        using TemporaryFolder first = new();
        File.WriteAllText(first.File("ffmpeg"), "not a program");
        FakeFfmpeg.Write(_programs.File("ffmpeg"), "/bin/cat > /dev/null; echo \"$*\" > \"$file\"", "mpeg4");
        (int code, string _, string error) =
            DiCacheProgram.RunWithPath($"{first.Path}:relative:{_programs.Path}", _folder.Path, [.. s_video, "-o", "a.mp4"]);
        Assert.True(code == 0, error);
        Assert.Contains("note: ", Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Contains("has no libx264, so the .mp4 is encoded with mpeg4", error, StringComparison.Ordinal);
        Assert.Contains("-c:v mpeg4", File.ReadAllText(_folder.File("a.mp4")), StringComparison.Ordinal);

        (code, _, error) = DiCacheProgram.RunWithPath($"{first.Path}:{_programs.Path}", _folder.Path, [.. s_video, "-o", "b.webm"]);
        Assert.True(code == 0, error);
        Assert.Contains("has no encoder for .webm", error, StringComparison.Ordinal);
        Assert.Contains("b-0001.png", Names(_folder));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Latents_that_the_decoder_cannot_decode_are_kept(bool video)
    {
        string source = video ? DiCacheProgram.VideoModelFolder : DiCacheProgram.ModelFolder;
        foreach (string file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(_programs.Path, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            if (file.Contains("vae_decoder", StringComparison.Ordinal))
            {
                byte[] graph = File.ReadAllBytes(file);
                graph.AsSpan(graph.Length / 2, 64).Fill(0xFF); // weights of NaN
                File.WriteAllBytes(target, graph);
            }
            else
            {
                File.CreateSymbolicLink(target, file);
            }
        }

        string[] command = video ? s_video : s_image;
        string name = video ? "a.gif" : "a.png";
        (int code, string output, string error) = Run("\"$@\"", [command[0], "-m", _programs.Path, .. command[3..], "-o", name]);
        Assert.Equal(3, code);
        Assert.Empty(output);
        Assert.Contains($"note: the latents were kept as {name}.latents.safetensors\n", error, StringComparison.Ordinal);
        Assert.Contains("gave NaN or infinity as", error, StringComparison.Ordinal);
        Assert.Equal([$"{name}.latents.safetensors"], Names(_folder));
        using SafetensorsFile latents = SafetensorsFile.Open(_folder.File($"{name}.latents.safetensors"));
        Assert.Equal(video ? [16, 2, 8, 8] : [1, 16, 64], latents.Get("latents").Shape.ToArray());
    }

    private Dictionary<string, string> Variables => new() { ["TMPDIR"] = _temporary.Path };

    private (int Code, string Out, string Error) Run(string script, string[] arguments) =>
        DiCacheProgram.RunInShell(_folder.Path, script, Variables, arguments);

    /// <summary>That these files, and no others, are in one folder of the temporary one, which the message names.</summary>
    private string AssertKept(string error, params string[] names)
    {
        string folder = Assert.Single(Directory.GetDirectories(_temporary.Path));
        Assert.Equal(names, Directory.GetFileSystemEntries(folder).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal));
        string first = Path.Combine(folder, names[0]);
        Assert.Contains(first, error, StringComparison.Ordinal);
        return first;
    }

    private static string[] Names(TemporaryFolder folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];
}
