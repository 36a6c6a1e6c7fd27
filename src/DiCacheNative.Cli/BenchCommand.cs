using System.CommandLine;
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
        Command command = new("bench",
            "Measures steps; every figure is a ratio or a median of one run.") { CreateModel(terminal), CreateProbe(terminal), CreateKernels(terminal) };
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
        Option<string> against = Opt.Choice("--against", "time full steps in this precision too, in the same rounds (with --preset)", ["f32", "bf16"]);
        Option<int?> rounds = RoundCount();
        Option<bool> json = Json();
        Command command = new("model", "Times full, resumed and skipped steps, the matrix products alone, and the cache efficiency.")
        {
            preset, blocks, frames, model, random, against, steps, threshold, rounds, json,
        };
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            if (result.Given(preset) == result.Given(model))
            {
                throw new ArgumentException("bench model takes either --preset or --model");
            }

            Option other = result.Given(model) ? model : preset;
            if (new Option[] { blocks, frames, random, against, steps, threshold }.FirstOrDefault(o => result.Given(o)
                && (o == steps || o == threshold) == (other == preset)) is { } useless)
            {
                throw new ArgumentException($"{useless.Name} has no meaning with {other.Name}");
            }

            if (result.Given(random))
            {
                terminal.Note($"{random.Name} has no effect: presets always have random weights");
            }

            if (result.GetValue(model) is { } folder)
            {
                using Engine engine =
                    Engine.Load(folder, new EngineOptions
                    {
                        Backend = backends.Kind(result),
                        Threads = backends.Threads(result),
                        Precision = backends.Precision(result)
                    });
                DiCacheOptions options = result.GetValue(threshold) is { } value ? DiCacheOptions.Default with { Threshold = (float)value }
                    : DiCacheOptions.Default;
                PipelineTimes times = await Task.Run(
                    () => PipelineBenchmark.Run(engine, result.GetValue(steps)!.Value, options, RoundsOf(terminal, result, rounds, cancel)), cancel);
                BenchReport.Print(terminal, result.GetValue(json), folder, engine.Backend, times);
                return CommandLine.Ok;
            }

            ModelPreset shape = ModelPreset.Find(result.GetValue(preset)!, result.GetValue(blocks), result.GetValue(frames));
            using IBackend backend = backends.Create(result, terminal);
            using IBackend? reference = result.GetValue(against) is { } precision ? backends.Create(result, terminal, BackendOptions.PrecisionOf(precision))
                : null;
            ModelTimes measured = await Task.Run(() => ModelBenchmark.Run(backend, shape, RoundsOf(terminal, result, rounds, cancel), reference), cancel);
            BenchReport.Print(terminal, result.GetValue(json), shape, backend, measured);
            return CommandLine.Ok;
        });
        return command;
    }

    private static Command CreateProbe(Terminal terminal)
    {
        (Command command, Option<string> preset, Option<int?> rounds, Option<bool> json) =
            Shaped("probe", "Times probe sums and blend of a skipped step in the forms unfused, fused and epilogue.");
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result, terminal);
            using DeviceLimits limits = new(backend, backends.Threads(result));
            ProbeResult measured = await Task.Run(() => ProbeBenchmark.Run(backend, shape, limits, RoundsOf(terminal, result, rounds, cancel)), cancel);
            BenchReport.Print(terminal, result.GetValue(json), shape, backend, measured);
            return CommandLine.Ok;
        });
        return command;
    }

    private static Command CreateKernels(Terminal terminal)
    {
        (Command command, Option<string> preset, Option<int?> rounds, Option<bool> json) =
            Shaped("kernels", "Times every operation at a model's shape, against the copy bandwidth and the multiply-add rate of the same run.");
        BackendOptions backends = new(command);
        command.SetAction(async (result, cancel) =>
        {
            ProbePreset shape = ProbePreset.Find(result.GetValue(preset)!);
            using IBackend backend = backends.Create(result, terminal);
            using DeviceLimits limits = new(backend, backends.Threads(result));
            KernelResult measured = await Task.Run(() => KernelBenchmark.Run(backend, shape, limits, RoundsOf(terminal, result, rounds, cancel)), cancel);
            BenchReport.Print(terminal, result.GetValue(json), shape, backend, measured);
            return CommandLine.Ok;
        });
        return command;
    }

    private static (Command Command, Option<string> Preset, Option<int?> Rounds, Option<bool> Json) Shaped(string name, string description)
    {
        Option<string> preset = Opt.Choice("--preset", "shape of a model", [.. ProbePreset.All.Select(p => p.Name)], "flux-1024");
        Option<int?> rounds = RoundCount();
        Option<bool> json = Json();
        return (new Command(name, description) { preset, rounds, json }, preset, rounds, json);
    }

    private static Option<int?> RoundCount() => Opt.Whole("--rounds", "measurements behind each median; default: as many as fit into a minute, 3 to 15", 1,
        1000);

    private static Rounds RoundsOf(Terminal terminal, ParseResult result, Option<int?> rounds, CancellationToken cancel) =>
        new(result.GetValue(rounds), line => terminal.Error.WriteLine($"dicache: {line}"), cancel);

    private static Option<bool> Json() => Opt.Flag("--json", "one JSON object on standard output, with every sample");
}
