using System.Diagnostics;
using System.Text.Json;
using DiCacheNative.Imaging;
using DiCacheNative.Tests.Imaging;

namespace DiCacheNative.Tests.Cli;

public class GenerateVideoTests
{
    private static readonly string[] s_short = ["generate", "-m", DiCacheProgram.VideoModelFolder, "-p", "a red circle moves right", "-q", "--steps", "4"];

    [Fact]
    public void Generates_a_video_of_the_prompt_with_dicache_and_reports_it_as_json()
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(
            folder.Path, "generate", "-m", DiCacheProgram.VideoModelFolder, "-p", "a red circle moves right", "-o", "out.gif", "--cache-mode", "dicache",
            "--cache-trace", "t.jsonl", "--json", "-v");
        Assert.True(code == 0, error);
        JsonElement json = DiCacheProgram.Json(output), cache = json.GetProperty("cache");
        Assert.Equal((17, 16, 30), (json.GetProperty("frames").GetInt32(), json.GetProperty("fps").GetInt32(), json.GetProperty("steps").GetInt32()));
        Assert.Equal((64, 64), (json.GetProperty("width").GetInt32(), json.GetProperty("height").GetInt32()));
        Assert.True(cache.GetProperty("skip").GetInt32() >= 20, output);
        Assert.Equal(60, cache.GetProperty("full").GetInt32() + cache.GetProperty("resume").GetInt32() + cache.GetProperty("skip").GetInt32());
        Assert.Equal(60, File.ReadLines(folder.File("t.jsonl")).Count());
        Assert.Equal(30, error.Split('\n').Count(l => l.StartsWith("step ", StringComparison.Ordinal)));
        Assert.Equal("out.gif", json.GetProperty("output").GetString());
        (int width, int height, int frames, int duration) = GifFile.Read(folder.File("out.gif"));
        Assert.Equal((64, 64, 17, 106), (width, height, frames, duration)); // 17 frames at 16 a second: 1.0625 s
    }

    [Fact]
    public void Numbered_frames_show_a_red_circle_that_moves_right()
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(
            folder.Path, "generate", "-m", DiCacheProgram.VideoModelFolder, "-p", "a red circle moves right on a grey background", "-q", "-o", "f.png",
            "--cache-mode", "dicache", "--fps", "8", "--json");
        Assert.True(code == 0, error);
        Assert.Equal(8, DiCacheProgram.Json(output).GetProperty("fps").GetInt32());
        Assert.Equal(Enumerable.Range(1, 17).Select(i => $"f-{i:0000}.png"),
            Directory.EnumerateFiles(folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal));
        double first = CentreOfRed(folder.File("f-0001.png")), last = CentreOfRed(folder.File("f-0017.png"));
        Assert.True(last > first + 16, $"the circle moves from column {first:0} to {last:0}");
    }

    [Fact]
    public void Without_ffmpeg_frames_are_written_and_the_reason_is_told()
    {
        using TemporaryFolder folder = new(), empty = new();
        (int code, string _, string error) = DiCacheProgram.RunWithPath(empty.Path, folder.Path, [.. s_short, "-o", "a.mp4"]);
        Assert.True(code == 0, error);
        Assert.Contains("no ffmpeg that runs was found on the PATH", error, StringComparison.Ordinal);
        Assert.Equal(17, Directory.EnumerateFiles(folder.Path, "a-*.png").Count());
        Assert.Equal(17, Directory.EnumerateFileSystemEntries(folder.Path).Count());
    }

    [Fact]
    public void An_interrupt_while_ffmpeg_works_ends_both_with_130_and_leaves_nothing_behind()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using TemporaryFolder folder = new(), programs = new();
        FakeFfmpeg.Write(programs.File("ffmpeg"),
            $"echo half > \"$file\"; echo $$ > {programs.File("pid.new")}; /bin/mv {programs.File("pid.new")} {programs.File("pid")}; exec /bin/sleep 600");
        using FileSystemWatcher watcher = new(programs.Path);
        using ManualResetEventSlim running = new();
        watcher.Renamed += (_, _) => running.Set();
        watcher.EnableRaisingEvents = true;
        using Process process = DiCacheProgram.StartWithPath(programs.Path, folder.Path, [.. s_short, "-o", "a.mp4"]);
        Assert.True(running.Wait(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken), "ffmpeg was not started");
        Kill("-INT", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(30)), "the program did not end");
        Assert.Equal(130, process.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        Assert.NotEqual(0, Kill("-0", File.ReadAllText(programs.File("pid")).Trim()));
    }

    public static TheoryData<string, string[]> BadInput() => new()
    {
        { "4 n + 1", ["--video-frames", "16"] },
        { "--fps takes a number from 0.01 to 1000", ["--fps", "0"] },
        { "one at a time", ["-b", "2"] },
        { "--sampling-method takes unipc, dpm++ or euler, not \"heun\"", ["--sampling-method", "heun"] },
        { "must end in .mp4, .webm, .webp, .gif, .png", ["-o", "a.avi"] },
        { "multiples of 16", ["-W", "72"] },
    };

    [Theory]
    [MemberData(nameof(BadInput))]
    public void Bad_settings_of_a_video_give_one_sentence_and_no_file(string sentence, string[] arguments) =>
        Refused(DiCacheProgram.VideoModelFolder, sentence, arguments);

    [Theory]
    [InlineData("--video-frames has no meaning", "--video-frames", "17")]
    [InlineData("--fps has no meaning", "--fps", "8")]
    [InlineData("sampled with euler", "--sampling-method", "unipc")]
    [InlineData("must end in .png", "-o", "a.mp4")]
    public void An_image_model_refuses_what_only_videos_have(string sentence, params string[] arguments) =>
        Refused(DiCacheProgram.ModelFolder, sentence, arguments);

    public static TheoryData<string> BrokenFiles() =>
        ["config.json", "sampling.json", "diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json", "text_encoder/model.onnx",
            "vae_decoder/model.onnx", "vae/config.json"];

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public void A_truncated_file_of_a_video_model_is_named(string name)
    {
        using TemporaryFolder folder = new();
        foreach (string file in Directory.EnumerateFiles(DiCacheProgram.VideoModelFolder, "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(DiCacheProgram.VideoModelFolder, file), target = folder.File(Path.Combine("model", relative));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            if (relative == name)
            {
                File.WriteAllBytes(target, File.ReadAllBytes(file).AsSpan(0, 40));
            }
            else
            {
                File.CreateSymbolicLink(target, file);
            }
        }

        (int code, string _, string error) = DiCacheProgram.Run(folder.Path, "generate", "-m", "model", "-p", "a star", "-q", "-o", "a.png");
        Assert.True(code == 3, error);
        Assert.Contains(Path.GetFileName(name), Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static void Refused(string model, string sentence, string[] arguments)
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(folder.Path, ["generate", "-m", model, "-p", "a red circle", "-q", .. arguments]);
        Assert.Equal(2, code);
        Assert.Contains(sentence, error, StringComparison.Ordinal);
        Assert.StartsWith("dicache: ", error, StringComparison.Ordinal);
        Assert.Empty(output);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static double CentreOfRed(string path)
    {
        Image image = ImageFile.Load(path);
        double sum = 0, columns = 0;
        for (int i = 0; i < image.Width * image.Height; i++)
        {
            ReadOnlySpan<byte> p = image.Pixels.AsSpan(3 * i, 3);
            if (p[0] > p[1] + 80 && p[0] > p[2] + 80)
            {
                (sum, columns) = (sum + 1, columns + (i % image.Width));
            }
        }

        Assert.True(sum > 30, $"{path} has only {sum} red pixels");
        return columns / sum;
    }

    private static int Kill(string signal, string process)
    {
        using Process kill = Process.Start(new ProcessStartInfo("kill", [signal, process]) { RedirectStandardError = true })!;
        kill.WaitForExit();
        return kill.ExitCode;
    }
}
