using System.Security.Cryptography;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Cli;

/// <summary>
/// One rule for all options: each is used, refused, or told to have no effect. Every option of every command is given beside a command line
/// without it, and something must differ: the exit code, the report, the files, or a note.
/// </summary>
public partial class OptionEffectTests
{
    private static readonly string[] s_flux = ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-W", "64", "-H", "32",
        "--steps", "2", "-q", "--json"];
    private static readonly string[] s_cached = ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-W", "64", "-H", "32",
        "--steps", "8", "-q", "--json", "--cache-mode", "dicache"];

    private static readonly string[] s_wan =
        ["generate", "-m", DiCacheProgram.VideoModelFolder, "-p", "a red circle moves right", "-W", "64", "-H", "64", "--video-frames", "5",
            "--steps", "2", "-q", "--json", "-o", "v.png"];

    private static readonly string[] s_verify = ["verify", Repository.File("tests", "golden", "dicache-controller")];
    private static readonly string[] s_bench = ["bench", "model", "--preset", "flux-small", "--blocks", "2", "--rounds", "1"];
    private static readonly string[] s_probe = ["bench", "probe", "--preset", "small", "--rounds", "1"];
    private static readonly string[] s_kernels = ["bench", "kernels", "--preset", "small", "--rounds", "1"];
    private static readonly string[] s_inspect = ["inspect", "--preset", "wan-1.3b-480p"];

    /// <summary>
    /// By option: the command line beside which it is tried, and what it is given. An option that the line has already is replaced.
    /// </summary>
    private static readonly Dictionary<string, (string[] Beside, string[] Given)[]> s_samples = new()
    {
        ["generate --model"] = [(s_flux, [DiCacheProgram.VideoModelFolder])],
        ["generate --diffusion-model"] = [(s_flux, [Path.Combine(DiCacheProgram.ModelFolder, "transformer")])],
        ["generate --prompt"] = [(s_flux, ["a ring"]), (s_wan, ["a blue ring"])],
        ["generate --negative-prompt"] = [(s_flux, ["red"]), (s_wan, ["red"]), ([.. s_wan, "--cfg-scale", "1"], ["red"])],
        ["generate --steps"] = [(s_flux, ["3"])],
        ["generate --sampling-method"] = [(s_wan, ["euler"]), (s_flux, ["unipc"])],
        ["generate --cfg-scale"] = [(s_flux, ["2"]), (s_wan, ["1"])],
        ["generate --guidance"] = [(s_flux, ["7"]), (s_wan, ["7"])],
        ["generate --flow-shift"] = [(s_flux, ["2"]), (s_wan, ["2"])],
        ["generate --seed"] = [(s_flux, ["7"]), (s_wan, ["7"])],
        ["generate --rng"] = [(s_flux, ["philox"]), (s_wan, ["philox"])],
        ["generate --width"] = [(s_flux, ["96"])],
        ["generate --height"] = [(s_flux, ["64"])],
        ["generate --video-frames"] = [(s_wan, ["9"]), (s_flux, ["1"])],
        ["generate --fps"] = [(s_wan, ["8"]), (s_flux, ["8"])],
        ["generate --batch-count"] = [(s_flux, ["2"]), (s_wan, ["2"])],
        ["generate --output"] = [(s_flux, ["other.png"]), (s_wan, ["v.gif"])],
        ["generate --cache-trace"] = [(s_flux, ["t.jsonl"])],
        ["generate --json"] = [([.. s_flux[..^1]], [])],
        ["generate --quiet"] = [([.. s_flux[..^2], "--json"], [])],
        ["generate --verbose"] = [([.. s_flux[..^2], "--json"], []), (s_flux, [])],
        ["generate --cache-mode"] = [(s_flux, ["interval"]), (s_flux, ["dicache"])],
        ["generate --cache-option"] =
        [
            .. new[]
            {
                "profile=flux", "threshold=0.5", "probe-depth=2", "ret-ratio=0.5", "error=delta_minus", "reuse=residual", "gamma-min=0.5",
                "gamma-max=2", "scope=batch",
                "last-step-full=false", "interval=3", "reuse=residual,gamma-max=2",
            }.Select(setting => (s_cached, new[] { setting })),
            (s_flux, ["threshold=0.5"]), ([.. s_flux, "--cache-mode", "none"], ["threshold=0.5"]),
            ([.. s_flux, "--cache-mode", "interval"], ["gamma-max=2"]),
        ],
        ["generate --rel_l1_thresh"] = [(s_cached, ["0.5"]), (s_flux, ["0.5"])],
        ["generate --ret_ratio"] = [(s_cached, ["0.5"]), (s_flux, ["0.5"])],
        ["generate --probe_depth"] = [(s_cached, ["2"]), (s_flux, ["2"])],
        ["generate --cache-replay"] = [(s_flux, ["missing.jsonl"])],
        ["generate --backend"] = [(s_flux, ["cuda"])],
        ["generate --threads"] = [(s_flux, ["1"])],
        ["generate --precision"] = [(s_flux, ["bf16"])],
        ["verify --model"] = [(s_verify, [DiCacheProgram.ModelFolder])],
        ["verify --json"] = [(s_verify, [])],
        ["verify --all"] = [(s_verify, []), ([.. s_verify, "--json"], [])],
        ["verify --backend"] = [(s_verify, ["cuda"])],
        ["verify --threads"] = [(s_verify, ["1"])],
        ["verify --precision"] = [(s_verify, ["bf16"])],
        ["devices --json"] = [(["devices"], [])],
        ["inspect --preset"] = [(s_inspect, ["flux-1024"])],
        ["inspect --precision"] = [(s_inspect, ["f32"])],
        ["inspect --cache-mode"] = [(s_inspect, ["none"])],
        ["inspect --video-frames"] = [(s_inspect, ["5"]), (["inspect", "--preset", "flux-1024"], ["5"])],
        ["inspect --json"] = [(s_inspect, [])],
        ["bench model --preset"] = [(s_bench, ["wan-1.3b-480p-of-another-name"])],
        ["bench model --blocks"] = [(s_bench, ["3"]), (["bench", "model", "-m", "m"], ["3"])],
        ["bench model --video-frames"] = [(s_bench, ["5"]), (["bench", "model", "-m", "m"], ["5"])],
        ["bench model --model"] = [(s_bench, [DiCacheProgram.ModelFolder])],
        ["bench model --random-weights"] = [(s_bench, []), (["bench", "model", "-m", "m"], [])],
        ["bench model --against"] = [(s_bench, ["f32"]), (["bench", "model", "-m", "m"], ["f32"])],
        ["bench model --steps"] = [(s_bench, ["3"])],
        ["bench model --threshold"] = [(s_bench, ["0.3"])],
        ["bench model --rounds"] = [(s_bench, ["2"])],
        ["bench model --json"] = [(s_bench, [])],
        ["bench model --backend"] = [(s_bench, ["cuda"])],
        ["bench model --threads"] = [(s_bench, ["1"])],
        ["bench model --precision"] = [(s_bench, ["bf16"])],
        ["bench probe --preset"] = [(s_probe, ["another"])],
        ["bench probe --rounds"] = [(s_probe, ["2"])],
        ["bench probe --json"] = [(s_probe, [])],
        ["bench probe --backend"] = [(s_probe, ["cuda"])],
        ["bench probe --threads"] = [(s_probe, ["1"])],
        ["bench probe --precision"] = [(s_probe, ["bf16"])],
        ["bench kernels --preset"] = [(s_kernels, ["another"])],
        ["bench kernels --rounds"] = [(s_kernels, ["2"])],
        ["bench kernels --json"] = [(s_kernels, [])],
        ["bench kernels --backend"] = [(s_kernels, ["cuda"])],
        ["bench kernels --threads"] = [(s_kernels, ["1"])],
        ["bench kernels --precision"] = [(s_kernels, ["bf16"])],
    };

    private static readonly Dictionary<string, Task<string>> s_seen = [];

    [Fact]
    public void Every_option_of_every_command_has_a_sample()
    {
        IEnumerable<string> options = CommandRun.Commands(CommandRun.Root()).Where(c => c.Command.Subcommands.Count == 0)
            .SelectMany(c => c.Command.Options.Where(o => o is not System.CommandLine.Help.HelpOption).Select(
                o => $"{string.Join(' ', c.Path)} {o.Name}"));
        Assert.Equal(options.Order(StringComparer.Ordinal), s_samples.Keys.Order(StringComparer.Ordinal));
    }

    public static TheoryData<string> Options() => [.. s_samples.Keys];

    [Theory]
    [MemberData(nameof(Options))]
    public async Task An_option_is_used_refused_or_told_to_have_no_effect(string option)
    {
        string name = option[(option.LastIndexOf(' ') + 1)..];
        foreach ((string[] beside, string[] given) in s_samples[option])
        {
            string[] without = Without(beside, name);
            string seen = await Seen([.. without, name, .. given]), before = await Before(beside);
            Assert.True(seen != before,
                $"{name} {string.Join(' ', given)} changes nothing and says nothing beside {string.Join(' ', beside)}:\n{seen}");
        }
    }

    [Fact]
    public async Task The_same_command_line_is_seen_the_same_twice()
    {
        IEnumerable<string[]> lines = s_samples.Values.SelectMany(samples => samples).Select(sample => sample.Beside);
        foreach (string[] line in lines.DistinctBy(line => string.Join('\n', line)))
        {
            Assert.Equal(await Before(line), await Seen(line));
        }
    }

    // An option of the line that is replaced.
    private static string[] Without(string[] line, string name)
    {
        string shortName = name switch
        {
            "--model" => "-m",
            "--prompt" => "-p",
            "--width" => "-W",
            "--height" => "-H",
            "--output" => "-o",
            _ => name,
        };
        int at = Array.FindIndex(line, word => word == name || word == shortName);
        return at < 0 ? line : [.. line[..at], .. line[(at + 2)..]];
    }

    private static Task<string> Before(string[] line)
    {
        lock (s_seen)
        {
            string key = string.Join('\n', line);
            return s_seen.TryGetValue(key, out Task<string>? seen) ? seen : s_seen[key] = Seen(line);
        }
    }

    /// <summary>All that can be seen of a run but its times.</summary>
    private static async Task<string> Seen(string[] line)
    {
        using TemporaryFolder folder = new();
        string[] arguments = [.. line];
        bool generates = line[0] == "generate";
        if (generates && !line.Contains("-o") && !line.Contains("--output"))
        {
            arguments = [.. arguments, "-o", "a.png"];
        }

        // Files are named in the folder of the run, which is not that of the process.
        arguments = [.. arguments.Select((word, i) => i > 0 && arguments[i - 1] is "-o" or "--output" or "--cache-trace" or "--cache-replay"
            ? folder.File(word) : word)];
        (int code, string output, string error) = await CommandRun.Async(arguments);
        string report = output.StartsWith('{') ? WithoutTimes(JsonNode.Parse(output)!).ToJsonString() : Figure().Replace(
            Noise().Replace(output, string.Empty), "#");
        IEnumerable<string> files = Directory.EnumerateFiles(folder.Path).Order(StringComparer.Ordinal).Select(
            path => $"{Path.GetFileName(path)} {Content(path)}");
        return $"exit {code}\n{report}\n{Figure().Replace(Noise().Replace(error, string.Empty), "#")}\n{string.Join('\n', files)}".Replace(
            folder.Path, "FOLDER", StringComparison.Ordinal);
    }

    private static string Content(string path) =>
        path.EndsWith(".png", StringComparison.Ordinal) ? Convert.ToHexString(SHA256.HashData(ImageFile.Load(path).Pixels)) : "present";

    private static JsonNode WithoutTimes(JsonNode node)
    {
        if (node is JsonObject report)
        {
            foreach (string key in report.Select(p => p.Key).ToList())
            {
                if (Measured().IsMatch(key))
                {
                    report.Remove(key);
                }
                else if (report[key] is { } value)
                {
                    WithoutTimes(value);
                }
            }
        }

        if (node is JsonArray list)
        {
            foreach (JsonNode? item in list)
            {
                _ = item is null ? null : WithoutTimes(item);
            }
        }

        return node;
    }

    [GeneratedRegex("_ms$|_us$|_per_s$|_up$|^share_|peak_memory|cache_efficiency|copy_gb")]
    private static partial Regex Measured();

    // Remarks about figures that cannot be, and about how long a measurement takes.
    [GeneratedRegex(@" \(over 1: noise\)|^noise: .*\n|^dicache: \d+ rounds of about.*\n", RegexOptions.Multiline)]
    private static partial Regex Noise();

    // Whatever is measured, in a text: every number with a unit or a decimal point, and the word that stands for one.
    [GeneratedRegex(@" *\d+\.\d+|\d+ (ms|us|MiB|GFLOP/s)| +noise\b")]
    private static partial Regex Figure();
}
