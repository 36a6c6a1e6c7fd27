using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Cli.Bench;

namespace DiCacheNative.Cli;

/// <summary>dicache bench: measurements in the shapes of real models.</summary>
internal static class BenchCommand
{
    private const int MostSteps = 1000;

    public static Command Create(Terminal terminal)
    {
        Command command = new("bench", "Measures steps; every figure is a ratio or a median of one run.") { CreateModel(terminal), CreateProbe(terminal), CreateKernels(terminal) };
        CommandLine.ShowHelp(command);
        return command;
    }

    private static Command CreateModel(Terminal terminal)
    {
        Option<string> preset = Opt.Choice("--preset", "shape with random weights", [.. ModelPreset.Names]);
        Option<int?> blocks = Opt.Whole("--blocks", "blocks to keep (with --preset); default: all", 2, ModelPreset.MostBlocks);
        Option<int?> frames = Opt.Whole("--video-frames", "video frames, 4 n + 1 (with --preset); default: the released model's", 1, ModelPreset.MostFrames);
        Option<string> model = Opt.Name("--model", ["-m"], "DIR|FILE", "pipeline folder instead: whole generations with and without DiCache");
        Option<bool> random = Opt.Flag("--random-weights", "accepted for clarity (with --preset): presets always have random weights");
        Option<int?> steps = Opt.Whole("--steps", "sampling steps (with --model)", 1, MostSteps, 30);
        Option<double?> threshold = Opt.Number("--threshold", [], "threshold of DiCache (with --model); default: that of its default profile", 0, 1e6);
        Option<int?> rounds = Rounds();
        Option<bool> json = Json();
        Command command = new("model", "Times full, resumed and skipped steps, the matrix products alone, and the cache efficiency.")
        {
            preset, blocks, frames, model, random, steps, threshold, rounds, json,
        };
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            if (result.Given(preset) == result.Given(model))
            {
                throw new ArgumentException("bench model takes either --preset or --model");
            }

            Option other = result.Given(model) ? model : preset;
            if (new Option[] { blocks, frames, random, steps, threshold }.FirstOrDefault(o => result.Given(o) && (o == steps || o == threshold) == (other == preset)) is { } useless)
            {
                throw new ArgumentException($"{useless.Name} has no meaning with {other.Name}");
            }

            if (result.Given(random))
            {
                terminal.Note($"{random.Name} has no effect: presets always have random weights");
            }

            if (result.GetValue(model) is { } folder)
            {
                using Engine engine = Engine.Load(folder, new EngineOptions { Backend = backends.Kind(result), Threads = backends.Threads(result), Precision = backends.Precision(result) });
                DiCacheOptions options = result.GetValue(threshold) is { } value ? DiCacheOptions.Default with { Threshold = (float)value } : DiCacheOptions.Default;
                PipelineTimes times = await PipelineBenchmark.RunAsync(engine, result.GetValue(steps)!.Value, options, result.GetValue(rounds)!.Value, cancel);
                Print(terminal, result.GetValue(json), folder, engine.Backend, times);
                return CommandLine.Ok;
            }

            ModelPreset shape = ModelPreset.Find(result.GetValue(preset)!, result.GetValue(blocks), result.GetValue(frames));
            using IBackend backend = backends.Create(result);
            Print(terminal, result.GetValue(json), shape, backend, await Task.Run(() => ModelBenchmark.Run(backend, shape, result.GetValue(rounds)!.Value, cancel), cancel));
            return CommandLine.Ok;
        });
        return command;
    }

    private static Command CreateProbe(Terminal terminal)
    {
        (Command command, Option<string> preset, Option<int?> rounds, Option<bool> json) = Shaped("probe", "Times probe sums and blend of a skipped step in the forms unfused, fused and epilogue.");
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result);
            ProbeResult r = await Task.Run(() => ProbeBenchmark.Run(backend, shape, result.GetValue(rounds)!.Value, cancel), cancel);
            if (result.GetValue(json))
            {
                terminal.WriteJson(new JsonObject
                {
                    ["preset"] = shape.Name,
                    ["backend"] = backend.Name,
                    ["device"] = backend.Description,
                    ["copy_gb_per_s"] = r.CopyGbPerS,
                    ["block_ms"] = r.BlockMs,
                    ["equal"] = r.Equal,
                    ["rounds"] = r.Rounds,
                    ["rows"] = JsonReport.List(r.Rows, row => new JsonObject
                    {
                        ["form"] = row.Form,
                        ["launches"] = row.Launches,
                        ["bytes"] = row.Bytes,
                        ["median_us"] = row.MedianUs,
                        ["share_of_limit"] = row.ShareOfLimit,
                        ["share_of_block"] = row.ShareOfBlock,
                        ["share_of_step"] = row.ShareOfStep,
                    }),
                });
                return CommandLine.Ok;
            }

            Write(terminal, $"{shape.Name}: {shape.Tokens} tokens of width {shape.Width}; {backend.Description}");
            Write(terminal, $"copy {r.CopyGbPerS:0.0} GB/s; a block {r.BlockMs:0.0} ms (from the rate of a measured block of 1536 tokens); numbers {(r.Equal ? "equal in all forms" : "DIFFER")}");
            Write(terminal, $"{"form",-10} {"launches",8} {"MB",9} {"median us",11} {"% of limit",10} {"% of block",10} {"% of step",10}");
            foreach (ProbeRow row in r.Rows)
            {
                Write(terminal, $"{row.Form,-10} {row.Launches,8} {row.Bytes / 1e6,9:0.0} {row.MedianUs,11:0.0} {100 * row.ShareOfLimit,10:0.0} {100 * row.ShareOfBlock,10:0.000} {100 * row.ShareOfStep,10:0.0000}");
            }

            Write(terminal, $"fused is {r.Rows[0].MedianUs / r.Rows[1].MedianUs:0.0}x faster than unfused (medians of {r.Rounds})");
            return CommandLine.Ok;
        });
        return command;
    }

    private static Command CreateKernels(Terminal terminal)
    {
        (Command command, Option<string> preset, Option<int?> rounds, Option<bool> json) = Shaped("kernels", "Times every operation at a model's shape, against the copy bandwidth and the matrix-product rate of the same run.");
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result);
            IReadOnlyList<KernelRow> rows = await Task.Run(() => KernelBenchmark.Run(backend, shape, result.GetValue(rounds)!.Value, cancel), cancel);
            if (result.GetValue(json))
            {
                terminal.WriteJson(new JsonObject
                {
                    ["preset"] = shape.Name,
                    ["backend"] = backend.Name,
                    ["device"] = backend.Description,
                    ["rounds"] = result.GetValue(rounds),
                    ["rows"] = JsonReport.List(rows, row => new JsonObject
                    {
                        ["kernel"] = row.Kernel,
                        ["shape"] = row.Shape,
                        ["median_us"] = row.MedianUs,
                        ["gflops_per_s"] = row.GflopsPerS,
                        ["gb_per_s"] = row.GbPerS,
                        ["share_of_limit"] = row.ShareOfLimit,
                    }),
                });
                return CommandLine.Ok;
            }

            Write(terminal, $"{shape.Name}; {backend.Description}; medians of {result.GetValue(rounds)}");
            Write(terminal, $"{"kernel",-22} {"shape",-34} {"median us",11} {"GFLOP/s",9} {"GB/s",8} {"% of limit",10}");
            foreach (KernelRow row in rows)
            {
                Write(terminal, $"{row.Kernel,-22} {row.Shape,-34} {row.MedianUs,11:0.0} {row.GflopsPerS,9:0.0} {row.GbPerS,8:0.0} {100 * row.ShareOfLimit,10:0.0}");
            }

            return CommandLine.Ok;
        });
        return command;
    }

    private static (Command Command, Option<string> Preset, Option<int?> Rounds, Option<bool> Json) Shaped(string name, string description)
    {
        Option<string> preset = Opt.Choice("--preset", "shape of a model", [.. ProbePreset.All.Select(p => p.Name)], "flux-1024");
        Option<int?> rounds = Rounds();
        Option<bool> json = Json();
        return (new Command(name, description) { preset, rounds, json }, preset, rounds, json);
    }

    private static Option<int?> Rounds() => Opt.Whole("--rounds", "measurements behind each median", 1, 1000, 5);

    private static Option<bool> Json() => Opt.Flag("--json", "one JSON object on standard output");

    private static void Print(Terminal terminal, bool json, ModelPreset preset, IBackend backend, ModelTimes t)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["preset"] = preset.Name,
                ["description"] = preset.Description,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["full_ms"] = t.FullMs,
                ["resume_ms"] = t.ResumeMs,
                ["skip_ms"] = t.SkipMs,
                ["gemm_only_ms"] = t.GemmOnlyMs,
                ["gflops_per_s"] = t.GflopsPerS,
                ["cache_efficiency"] = t.CacheEfficiency,
                ["measured_speed_up"] = t.MeasuredSpeedUp,
                ["ideal_speed_up"] = t.IdealSpeedUp,
                ["schedule"] = Schedule(ModelBenchmark.ScheduleFull, ModelBenchmark.ScheduleResume, ModelBenchmark.ScheduleSkip),
                ["rounds"] = t.Rounds,
            });
            return;
        }

        Write(terminal, $"{preset.Name}: {preset.Description}; {backend.Description}");
        Write(terminal, $"full step      {t.FullMs,10:0.0} ms   {t.GflopsPerS:0} GFLOP/s");
        Write(terminal, $"resumed step   {t.ResumeMs,10:0.0} ms   {t.ResumeMs / t.FullMs:0.000} of a full step");
        Write(terminal, $"skipped step   {t.SkipMs,10:0.0} ms   {t.SkipMs / t.FullMs:0.000} of a full step");
        Write(terminal, $"GEMMs alone    {t.GemmOnlyMs,10:0.0} ms   {t.GemmOnlyMs / t.FullMs:0.000} of a full step");
        Write(terminal, $"{ModelBenchmark.ScheduleFull} full + {ModelBenchmark.ScheduleResume} resumed + {ModelBenchmark.ScheduleSkip} skipped: {t.MeasuredSpeedUp:0.00}x of ideal {t.IdealSpeedUp:0.00}x, cache efficiency {t.CacheEfficiency:0.000} (medians of {t.Rounds})");
    }

    private static void Print(Terminal terminal, bool json, string folder, IBackend backend, PipelineTimes t)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["model"] = folder,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["uncached_ms"] = t.UncachedMs,
                ["cached_ms"] = t.CachedMs,
                ["schedule"] = Schedule(t.Full, t.Resume, t.Skip),
                ["measured_speed_up"] = t.MeasuredSpeedUp,
                ["ideal_speed_up"] = t.IdealSpeedUp,
                ["cache_efficiency"] = t.CacheEfficiency,
                ["rounds"] = t.Rounds,
            });
            return;
        }

        Write(terminal, $"{folder}; {backend.Description}");
        Write(terminal, $"denoising {t.UncachedMs:0.0} ms without cache, {t.CachedMs:0.0} ms with DiCache ({t.Full} full, {t.Resume} resumed, {t.Skip} skipped)");
        Write(terminal, $"speed-up {t.MeasuredSpeedUp:0.00}x of ideal {t.IdealSpeedUp:0.00}x, cache efficiency {t.CacheEfficiency:0.000} (medians of {t.Rounds} pairs)");
    }

    private static JsonObject Schedule(int full, int resume, int skip) => new() { ["full"] = full, ["resume"] = resume, ["skip"] = skip };

    private static void Write(Terminal terminal, FormattableString line) => terminal.Write(line.ToString(CultureInfo.InvariantCulture));
}
