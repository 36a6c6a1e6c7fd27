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
    public static Command Create() => new("bench", "Measures steps; every figure is a ratio or a median of one run.") { CreateModel(), CreateProbe(), CreateKernels() };

    private static Command CreateModel()
    {
        Option<string?> preset = new("--preset") { Description = "shape with random weights: " + string.Join(", ", ModelPreset.All().Select(p => p.Name)) };
        Option<int?> blocks = new("--blocks") { Description = "blocks to keep (with --preset); default: all" };
        Option<int?> frames = new("--video-frames") { Description = "video frames, 4 n + 1 (with --preset); default: the released model's" };
        Option<string?> model = new("--model", "-m") { Description = "pipeline folder instead: whole generations with and without DiCache" };
        Option<bool> random = new("--random-weights") { Description = "accepted for clarity: presets always have random weights" };
        Option<int> steps = new("--steps") { Description = "sampling steps (with --model)", DefaultValueFactory = _ => 30 };
        Option<float> threshold = new("--threshold") { Description = "threshold of DiCache (with --model)", DefaultValueFactory = _ => DiCacheOptions.Default.Threshold };
        Option<int> rounds = Rounds();
        Option<bool> json = new("--json") { Description = "one JSON object on standard output" };
        Command command = new("model", "Times full, resumed and skipped steps, the matrix products alone, and the cache efficiency.") { preset, blocks, frames, model, random, steps, threshold, rounds, json };
        BackendOptions backends = new(command);
        command.SetAction((result, cancel) => CommandLine.GuardAsync(async () =>
        {
            if ((result.GetValue(preset) is null) == (result.GetValue(model) is null))
            {
                throw new ArgumentException("bench model takes either --preset or --model");
            }

            if (result.GetValue(model) is { } folder)
            {
                using Engine engine = Engine.Load(folder, new EngineOptions { Backend = backends.Kind(result), Threads = backends.Threads(result), Precision = backends.Precision(result) });
                PipelineTimes times = await PipelineBenchmark.RunAsync(
                    engine, result.GetValue(steps), DiCacheOptions.Default with { Threshold = result.GetValue(threshold) }, result.GetValue(rounds), cancel);
                Print(result.GetValue(json), folder, engine.Backend, times);
                return CommandLine.Ok;
            }

            if (result.GetValue(blocks) is < 2 or > 1000)
            {
                throw new ArgumentException("--blocks must be between 2 and 1000: one for the probe, one for the rest");
            }

            ModelPreset shape = ModelPreset.Find(result.GetValue(preset)!, result.GetValue(blocks), result.GetValue(frames));
            using IBackend backend = backends.Create(result);
            Print(result.GetValue(json), shape, backend, await Task.Run(() => ModelBenchmark.Run(backend, shape, result.GetValue(rounds), cancel), cancel));
            return CommandLine.Ok;
        }));
        return command;
    }

    private static Command CreateProbe()
    {
        (Command command, Option<string> preset, Option<int> rounds, Option<bool> json) = Shaped("probe", "Times probe sums and blend of a skipped step in the forms unfused, fused and epilogue.");
        BackendOptions backends = new(command);
        command.SetAction((result, cancel) => CommandLine.GuardAsync(async () =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result);
            ProbeResult r = await Task.Run(() => ProbeBenchmark.Run(backend, shape, result.GetValue(rounds), cancel), cancel);
            if (result.GetValue(json))
            {
                JsonReport.Write(new JsonObject
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

            Write($"{shape.Name}: {shape.Tokens} tokens of width {shape.Width}; {backend.Description}");
            Write($"copy {r.CopyGbPerS:0.0} GB/s; a block {r.BlockMs:0.0} ms (from the rate of a measured block of 1536 tokens); numbers {(r.Equal ? "equal in all forms" : "DIFFER")}");
            Write($"{"form",-10} {"launches",8} {"MB",9} {"median us",11} {"% of limit",10} {"% of block",10} {"% of step",10}");
            foreach (ProbeRow row in r.Rows)
            {
                Write($"{row.Form,-10} {row.Launches,8} {row.Bytes / 1e6,9:0.0} {row.MedianUs,11:0.0} {100 * row.ShareOfLimit,10:0.0} {100 * row.ShareOfBlock,10:0.000} {100 * row.ShareOfStep,10:0.0000}");
            }

            Write($"fused is {r.Rows[0].MedianUs / r.Rows[1].MedianUs:0.0}x faster than unfused (medians of {r.Rounds})");
            return CommandLine.Ok;
        }));
        return command;
    }

    private static Command CreateKernels()
    {
        (Command command, Option<string> preset, Option<int> rounds, Option<bool> json) = Shaped("kernels", "Times every operation at a model's shape, against the copy bandwidth and the matrix-product rate of the same run.");
        BackendOptions backends = new(command);
        command.SetAction((result, cancel) => CommandLine.GuardAsync(async () =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result);
            IReadOnlyList<KernelRow> rows = await Task.Run(() => KernelBenchmark.Run(backend, shape, result.GetValue(rounds), cancel), cancel);
            if (result.GetValue(json))
            {
                JsonReport.Write(new JsonObject
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

            Write($"{shape.Name}; {backend.Description}; medians of {result.GetValue(rounds)}");
            Write($"{"kernel",-22} {"shape",-34} {"median us",11} {"GFLOP/s",9} {"GB/s",8} {"% of limit",10}");
            foreach (KernelRow row in rows)
            {
                Write($"{row.Kernel,-22} {row.Shape,-34} {row.MedianUs,11:0.0} {row.GflopsPerS,9:0.0} {row.GbPerS,8:0.0} {100 * row.ShareOfLimit,10:0.0}");
            }

            return CommandLine.Ok;
        }));
        return command;
    }

    private static (Command Command, Option<string> Preset, Option<int> Rounds, Option<bool> Json) Shaped(string name, string description)
    {
        Option<string> preset = new("--preset") { Description = string.Join(", ", ProbePreset.All.Select(p => p.Name)), DefaultValueFactory = _ => "flux-1024" };
        Option<int> rounds = Rounds();
        Option<bool> json = new("--json") { Description = "one JSON object on standard output" };
        return (new Command(name, description) { preset, rounds, json }, preset, rounds, json);
    }

    private static Option<int> Rounds()
    {
        Option<int> rounds = new("--rounds") { Description = "measurements behind each median", DefaultValueFactory = _ => 5 };
        rounds.Validators.Add(r =>
        {
            if (r.GetValueOrDefault<int>() is < 1 or > 1000)
            {
                r.AddError("--rounds must be between 1 and 1000");
            }
        });
        return rounds;
    }

    private static void Print(bool json, ModelPreset preset, IBackend backend, ModelTimes t)
    {
        if (json)
        {
            JsonReport.Write(new JsonObject
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

        Write($"{preset.Name}: {preset.Description}; {backend.Description}");
        Write($"full step      {t.FullMs,10:0.0} ms   {t.GflopsPerS:0} GFLOP/s");
        Write($"resumed step   {t.ResumeMs,10:0.0} ms   {t.ResumeMs / t.FullMs:0.000} of a full step");
        Write($"skipped step   {t.SkipMs,10:0.0} ms   {t.SkipMs / t.FullMs:0.000} of a full step");
        Write($"GEMMs alone    {t.GemmOnlyMs,10:0.0} ms   {t.GemmOnlyMs / t.FullMs:0.000} of a full step");
        Write($"{ModelBenchmark.ScheduleFull} full + {ModelBenchmark.ScheduleResume} resumed + {ModelBenchmark.ScheduleSkip} skipped: {t.MeasuredSpeedUp:0.00}x of ideal {t.IdealSpeedUp:0.00}x, cache efficiency {t.CacheEfficiency:0.000} (medians of {t.Rounds})");
    }

    private static void Print(bool json, string folder, IBackend backend, PipelineTimes t)
    {
        if (json)
        {
            JsonReport.Write(new JsonObject
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

        Write($"{folder}; {backend.Description}");
        Write($"denoising {t.UncachedMs:0.0} ms without cache, {t.CachedMs:0.0} ms with DiCache ({t.Full} full, {t.Resume} resumed, {t.Skip} skipped)");
        Write($"speed-up {t.MeasuredSpeedUp:0.00}x of ideal {t.IdealSpeedUp:0.00}x, cache efficiency {t.CacheEfficiency:0.000} (medians of {t.Rounds} pairs)");
    }

    private static JsonObject Schedule(int full, int resume, int skip) => new() { ["full"] = full, ["resume"] = resume, ["skip"] = skip };

    private static void Write(FormattableString line) => Console.Out.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
