using System.Text.Json;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Cli;

public class GenerateCommandTests
{
    [Fact]
    public void Generates_the_image_of_the_prompt_and_reports_it_as_json()
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(
            folder.Path, "generate", "-m", DiCacheProgram.ModelFolder, "-p", "a green star", "-s", "2", "--steps", "12", "--cache-mode", "dicache",
            "--cache-trace", "t.jsonl", "--json", "-v");
        Assert.True(code == 0, error);
        JsonElement json = DiCacheProgram.Json(output);
        Assert.Equal("output.png", json.GetProperty("output").GetString());
        Assert.Equal((128, 128, 2, 12), (json.GetProperty("width").GetInt32(), json.GetProperty("height").GetInt32(), json.GetProperty("seed").GetInt32(),
            json.GetProperty("steps").GetInt32()));
        Assert.Equal("cpu", json.GetProperty("backend").GetString());
        JsonElement cache = json.GetProperty("cache"), times = json.GetProperty("time_ms");
        Assert.Equal("dicache", cache.GetProperty("mode").GetString());
        Assert.Equal(12, cache.GetProperty("full").GetInt32() + cache.GetProperty("resume").GetInt32() + cache.GetProperty("skip").GetInt32());
        Assert.True(cache.GetProperty("skip").GetInt32() > 0);
        Assert.True(times.GetProperty("total").GetDouble() >= times.GetProperty("denoise").GetDouble() && times.GetProperty("denoise").GetDouble() > 0);
        Assert.True(json.GetProperty("peak_memory_bytes").GetInt64() > 10_000_000);
        Assert.Equal(12, File.ReadLines(folder.File("t.jsonl")).Count());
        Assert.Equal(12, error.Split('\n').Count(l => l.StartsWith("step ", StringComparison.Ordinal)));

        // A green star: the middle is green, the corner is not.
        Image image = ImageFile.Load(folder.File("output.png"));
        (byte r, byte g, byte b) = Pixel(image, 64, 64);
        Assert.True(g > r + 40 && g > b + 40, $"the middle is {r},{g},{b}");
        (r, g, b) = Pixel(image, 2, 2);
        Assert.False(g > r + 40 && g > b + 40, $"the corner is {r},{g},{b}");
    }

    [Fact]
    public void The_same_seed_gives_the_same_bytes_and_a_replayed_trace_the_same_pixels()
    {
        using TemporaryFolder folder = new();
        string[] common = ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a red circle", "-s", "7", "--steps", "8", "-q"];
        Assert.Equal(0, DiCacheProgram.Run(folder.Path, [.. common, "--cache-mode", "dicache", "--cache-option", "ret-ratio=0.3,threshold=0.4", "-o", "a.png",
            "--cache-trace", "t.jsonl"]).Code);
        Assert.Equal(0, DiCacheProgram.Run(folder.Path, [.. common, "--cache-mode", "dicache", "--rel_l1_thresh", "0.4", "--ret_ratio", "0.3", "-o", "b.png",
            "-t", "1"]).Code);
        Assert.Equal(0, DiCacheProgram.Run(folder.Path, [.. common, "--cache-replay", "t.jsonl", "-o", "c.png"]).Code);
        Assert.Equal(File.ReadAllBytes(folder.File("a.png")), File.ReadAllBytes(folder.File("b.png")));
        Assert.Equal(ImageFile.Load(folder.File("a.png")).Pixels, ImageFile.Load(folder.File("c.png")).Pixels);
    }

    public static TheoryData<int, string, string[]> BadInput() => new()
    {
        { 2, "--steps", ["--steps", "many"] },
        { 2, "--steps takes a whole number from 1 to 1000", ["--steps", "0"] },
        { 2, "multiples of 16", ["-W", "100"] },
        { 2, "not known", ["--cache-mode", "dicache", "--cache-option", "treshold=1"] },
        { 2, "must be a number from 0", ["--cache-mode", "dicache", "--cache-option", "threshold=high"] },
        { 2, "no meaning with --cache-mode none", ["--cache-mode", "none", "--cache-option", "threshold=1"] },
        { 2, "given twice", ["--cache-mode", "dicache", "--cache-option", "threshold=1", "--rel_l1_thresh", "2"] },
        { 2, "goes with no other cache option", ["--cache-mode", "dicache", "--cache-replay", "x.jsonl"] },
        { 2, "probe depth of the cache is 9", ["--cache-mode", "dicache", "--probe_depth", "9"] },
        { 2, "must end in .png, .jpg, .jpeg, .webp, .bmp", ["-o", "a.tiff"] },
        { 2, "--nonsense", ["--nonsense"] },
        { 3, "there is no such file", ["--cache-replay", "missing.jsonl"] },
        { 3, "create it first", ["-o", "no/such/folder/a.png"] },
        { 4, "choose the CPU backend", ["--backend", "cuda"] },
    };

    [Theory]
    [MemberData(nameof(BadInput))]
    public void Bad_input_gives_one_sentence_the_right_code_and_no_file(int expected, string sentence, string[] arguments)
    {
        using TemporaryFolder folder = new();
        string[] output = arguments.Contains("-o") ? [] : ["-o", "a.png"];
        (int code, string text, string error) = DiCacheProgram.Run(folder.Path,
            ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-q", .. output, .. arguments]);
        Assert.Equal(expected, code);
        Assert.Contains(sentence, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        Assert.StartsWith("dicache: ", error, StringComparison.Ordinal);
        Assert.Empty(text);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    public static TheoryData<string> BrokenFiles() =>
    [
        "model_index.json", "transformer/config.json", "transformer/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json",
            "tokenizer_2/tokenizer.json",
        "text_encoder/model.onnx", "text_encoder_2/model.onnx", "vae_decoder/model.onnx", "vae/config.json", "scheduler/scheduler_config.json",
    ];

    [Theory]
    [MemberData(nameof(BrokenFiles))]
    public void A_truncated_model_file_is_named(string name)
    {
        using TemporaryFolder folder = new();
        foreach (string file in Directory.EnumerateFiles(DiCacheProgram.ModelFolder, "*", SearchOption.AllDirectories))
        {
            string relative = Path.GetRelativePath(DiCacheProgram.ModelFolder, file);
            string target = Path.Combine(folder.Path, "model", relative);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            if (relative == name)
            {
                File.WriteAllBytes(target, File.ReadAllBytes(file).AsSpan(0, 40));
            }
            else if (relative is not ("tokenizer/vocab.json" or "tokenizer/merges.txt"))
            {
                File.CreateSymbolicLink(target, file);
            }
        }

        (int code, string _, string error) = DiCacheProgram.Run(folder.Path, "generate", "-m", "model", "-p", "a star", "-q", "-o", "a.png");
        Assert.True(code == 3, error);
        Assert.Contains(Path.GetFileName(name), error, StringComparison.Ordinal);
        Assert.Single(error.TrimEnd().Split('\n'));
        Assert.False(File.Exists(folder.File("a.png")));
    }

    [Fact]
    public void A_seed_of_64_bits_and_the_tokens_of_the_prompt_stand_in_the_report()
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(
            folder.Path, "generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-s", "18446744073709551615", "-W", "32", "-H", "32", "--steps", "1",
            "-q",
            "--json");
        Assert.True(code == 0, error);
        JsonElement json = DiCacheProgram.Json(output), given = json.GetProperty("prompt_tokens"), used = json.GetProperty("prompt_tokens_used");
        Assert.Equal(ulong.MaxValue, json.GetProperty("seed").GetUInt64());
        Assert.All(["text_encoder", "text_encoder_2"], encoder => Assert.Equal(given.GetProperty(encoder).GetInt32(), used.GetProperty(encoder).GetInt32()));
    }

    [Fact]
    public void A_missing_model_is_named()
    {
        using TemporaryFolder folder = new();
        (int code, string _, string error) = DiCacheProgram.Run(folder.Path, "generate", "-m", "nowhere", "-p", "a star");
        Assert.Equal(3, code);
        Assert.Contains("nowhere", error, StringComparison.Ordinal);
    }

    private static (byte R, byte G, byte B) Pixel(Image image, int x, int y)
    {
        int at = ((y * image.Width) + x) * 3;
        return (image.Pixels[at], image.Pixels[at + 1], image.Pixels[at + 2]);
    }
}
