using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Sampling;

namespace DiCacheNative.Cli;

/// <summary>dicache generate: text to image or video.</summary>
internal sealed class GenerateCommand
{
    private static readonly Dictionary<string, SamplingMethod> s_methods = new()
    {
        ["unipc"] = SamplingMethod.UniPc,
        ["dpm++"] = SamplingMethod.DpmPlusPlus,
        ["euler"] = SamplingMethod.Euler,
    };

    private readonly Option<string> _model = new("--model", "-m") { Description = "pipeline folder, or a transformer file in one", Required = true };
    private readonly Option<string?> _diffusionModel = new("--diffusion-model") { Description = "transformer checkpoint to use instead of the folder's" };
    private readonly Option<string> _prompt = new("--prompt", "-p") { Description = "what the image or video shows", Required = true };
    private readonly Option<string?> _negative = new("--negative-prompt", "-n") { Description = "what it does not show (with guidance); default: the model's" };
    private readonly Option<int?> _steps = new("--steps", "--num-inference-steps") { Description = "sampling steps; default: the model's, 30 for FLUX" };
    private readonly Option<string?> _method = new("--sampling-method") { Description = "unipc, dpm++ or euler; default: the model's" };
    private readonly Option<float?> _cfg = new("--cfg-scale", "--true-cfg-scale") { Description = "classifier-free guidance; 1 for none; default: the model's, 1 for FLUX" };
    private readonly Option<float?> _guidance = new("--guidance", "--guidance-scale") { Description = "distilled guidance (FLUX.1-dev); default: the model's, 3.5" };
    private readonly Option<float?> _shift = new("--flow-shift") { Description = "shift of the noise levels; default: the model's" };
    private readonly Option<ulong?> _seed = new("--seed", "-s")
    {
        Description = "seed, 0 to 18446744073709551615; -1 for a random one",
        DefaultValueFactory = _ => 42,
        CustomParser = ParseSeed,
    };

    private readonly Option<string> _rng = new("--rng") { Description = "noise of PyTorch's CPU generator (torch) or of Philox (philox)", DefaultValueFactory = _ => "torch" };
    private readonly Option<int> _width = new("--width", "-W") { Description = "pixels; default: the model's", DefaultValueFactory = _ => 0 };
    private readonly Option<int> _height = new("--height", "-H") { Description = "pixels; default: the model's", DefaultValueFactory = _ => 0 };
    private readonly Option<int> _frames = new("--video-frames") { Description = "frames of a video, 4 n + 1; default: the model's", DefaultValueFactory = _ => 0 };
    private readonly Option<double?> _fps = new("--fps") { Description = "frames per second of the video written; default: the model's" };
    private readonly Option<int> _batch = new("--batch-count", "-b") { Description = "number of images; image i has seed + i", DefaultValueFactory = _ => 1 };
    private readonly Option<string?> _output = new("--output", "-o")
    {
        Description = "file to write: .png for an image (default output.png); .mp4, .webm, .gif, .webp, or .png for numbered frames, for a video (default output.mp4)",
    };

    private readonly Option<string?> _trace = new("--cache-trace") { Description = "write every cache decision as JSON lines" };
    private readonly Option<bool> _json = new("--json") { Description = "one JSON object on standard output" };
    private readonly Option<bool> _quiet = new("--quiet", "-q") { Description = "no progress" };
    private readonly CacheArguments _cache;
    private readonly BackendOptions _backend;

    private GenerateCommand(Command command)
    {
        _rng.AcceptOnlyFromAmong("torch", "philox");
        _method.AcceptOnlyFromAmong([.. s_methods.Keys]);
        _fps.Validators.Add(r =>
        {
            if (r.GetValueOrDefault<double?>() is not (null or (> 0 and <= 1000)))
            {
                r.AddError("--fps must lie above 0 and be at most 1000");
            }
        });
        foreach (Option option in new Option[]
                 {
                     _model, _diffusionModel, _prompt, _negative, _steps, _method, _cfg, _guidance, _shift, _seed, _rng, _width, _height, _frames, _fps, _batch, _output,
                     _trace, _json, _quiet,
                 })
        {
            command.Options.Add(option);
        }

        _cache = new CacheArguments(command);
        _backend = new BackendOptions(command);
        command.SetAction((result, cancel) => CommandLine.GuardAsync(() => RunAsync(result, cancel)));
    }

    // PyTorch's seeds: all 64 bits. Null is a random one.
    private static ulong? ParseSeed(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : string.Empty;
        if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong seed) && text != "-1")
        {
            result.AddError($"--seed must be a whole number from 0 to {ulong.MaxValue}, or -1 for a random one, not \"{text}\"");
        }

        return text == "-1" ? null : seed;
    }

    public static Command Create()
    {
        Command command = new("generate", "Generates an image or a video from a prompt.");
        _ = new GenerateCommand(command);
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancel)
    {
        string model = result.GetValue(_model)!;
        bool video = Engine.FamilyOf(model) == ModelFamily.Wan;
        string output = result.GetValue(_output) ?? (video ? "output.mp4" : "output.png");
        string? trace = result.GetValue(_trace);
        foreach (string path in new[] { output, trace }.OfType<string>())
        {
            CheckTarget(path);
        }

        OutputFiles.CheckExtension(output, video);
        if (!video && result.GetValue(_fps) is not null)
        {
            throw new ArgumentException("--fps has no meaning for a model that makes images");
        }

        ICachePolicy policy = _cache.Create(result);
        bool json = result.GetValue(_json);
        EngineOptions options = new()
        {
            Backend = _backend.Kind(result),
            Threads = _backend.Threads(result),
            DiffusionModel = result.GetValue(_diffusionModel),
            Log = sentence => Console.Error.WriteLine($"dicache: {sentence}"),
        };
        using Engine engine = await Task.Run(() => Engine.Load(model, options), cancel);
        GenerationRequest request = new()
        {
            Prompt = result.GetValue(_prompt)!,
            NegativePrompt = result.GetValue(_negative),
            Steps = result.GetValue(_steps),
            SamplingMethod = result.GetValue(_method) is { } method ? s_methods[method] : null,
            CfgScale = result.GetValue(_cfg),
            Guidance = result.GetValue(_guidance),
            FlowShift = result.GetValue(_shift),
            Seed = result.GetValue(_seed),
            Width = result.GetValue(_width),
            Height = result.GetValue(_height),
            VideoFrames = result.GetValue(_frames),
            BatchCount = result.GetValue(_batch),
            Rng = result.GetValue(_rng) == "philox" ? RngKind.Philox : RngKind.Torch,
            Cache = policy,
            KeepTrace = trace is not null,
        };
        ProgressLine progress = new(result.GetValue(_quiet));
        GenerationResult generated;
        try
        {
            generated = await engine.GenerateAsync(request, progress, cancel);
        }
        finally
        {
            progress.Close();
        }

        cancel.ThrowIfCancellationRequested();
        double fps = result.GetValue(_fps) ?? generated.Fps;
        OutputFiles files = new(engine.Backend.Name, _cache.Mode(result), options.Log);
        IReadOnlyList<string> outputs = video ? await files.WriteVideoAsync(output, generated, fps, cancel) : files.WriteImages(output, generated);
        if (trace is not null)
        {
            AtomicFile.Write(trace, stream =>
            {
                using StreamWriter writer = new(stream, new UTF8Encoding(false), leaveOpen: true);
                CacheTrace.Write(writer, generated.Trace);
            });
        }

        Report(result, engine, generated, outputs, fps, json);
        return CommandLine.Ok;
    }

    private void Report(ParseResult result, Engine engine, GenerationResult generated, IReadOnlyList<string> outputs, double fps, bool json)
    {
        Image image = generated.Images[0];
        GenerationTimes t = generated.Times;
        CacheStats cache = generated.Cache;
        int steps = generated.Request.Steps!.Value;
        using Process process = Process.GetCurrentProcess();
        long peak = process.PeakWorkingSet64;
        if (json)
        {
            JsonReport.Write(new JsonObject
            {
                ["output"] = outputs[0],
                ["outputs"] = JsonReport.List(outputs),
                ["width"] = image.Width,
                ["height"] = image.Height,
                ["frames"] = generated.Frames,
                ["fps"] = fps,
                ["seed"] = generated.Seed,
                ["steps"] = steps,
                ["backend"] = engine.Backend.Name,
                ["cache"] = new JsonObject
                {
                    ["mode"] = _cache.Mode(result),
                    ["full"] = cache.Full,
                    ["resume"] = cache.Resume,
                    ["skip"] = cache.Skip,
                    ["bytes"] = generated.CacheBytes,
                },
                ["time_ms"] = new JsonObject { ["load"] = t.Load, ["text"] = t.Text, ["denoise"] = t.Denoise, ["vae"] = t.Vae, ["total"] = t.Total },
                ["peak_memory_bytes"] = peak,
            });
            return;
        }

        string shown = outputs.Count > 4 ? $"{outputs[0]} to {outputs[^1]}" : string.Join(", ", outputs);
        string length = generated.Fps > 0 ? string.Create(CultureInfo.InvariantCulture, $", {generated.Frames} frames at {fps:0.###} a second") : string.Empty;
        double ideal = generated.Flops.IdealSpeedUp(cache.Full + cache.Resume, cache.Skip);
        Console.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{shown}: {image.Width}x{image.Height}{length}, seed {generated.Seed}, {steps} steps on {engine.Backend.Name}; "
            + $"{cache.Full} full, {cache.Resume} resumed, {cache.Skip} skipped (ideal speed-up {ideal:0.00}x); "
            + $"load {t.Load:0} ms, text {t.Text:0} ms, denoise {t.Denoise:0} ms, vae {t.Vae:0} ms, total {t.Total:0} ms; peak memory {peak / 1048576.0:0} MiB"));
    }

    // Told before any work is done: a generation may take minutes.
    private static void CheckTarget(string path)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder))
        {
            throw new IOException($"{path} cannot be written: the folder {folder} does not exist, create it first");
        }

        if (Directory.Exists(path))
        {
            throw new IOException($"{path} cannot be written: it is a folder, name a file in it");
        }
    }
}
