using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Sampling;

namespace DiCacheNative.Cli;

/// <summary>dicache generate: text to image or video.</summary>
internal sealed class GenerateCommand
{
    private const int MostSteps = 1000;
    private const int LargestSide = 16384;
    private const int SmallestSide = 16;
    private const int MostFrames = 4097;
    private const int MostImages = 64;
    private const int DefaultSeed = 42;

    private static readonly Dictionary<string, SamplingMethod> s_methods = new()
    {
        ["unipc"] = SamplingMethod.UniPc,
        ["dpm++"] = SamplingMethod.DpmPlusPlus,
        ["euler"] = SamplingMethod.Euler,
    };

    private readonly Option<string> _model = Opt.Name("--model", ["-m"], "DIR|FILE", "pipeline folder, or a transformer file in one").AsRequired();
    private readonly Option<string> _diffusionModel = Opt.Name("--diffusion-model", "FILE", "transformer checkpoint to use instead of the folder's");
    private readonly Option<string> _prompt = Opt.Text("--prompt", ["-p"], "what the image or video shows").AsRequired();
    private readonly Option<string> _negative = Opt.Text("--negative-prompt", ["-n"], "what it does not show (with --cfg-scale other than 1); default: the model's");
    private readonly Option<int?> _steps = Opt.Whole("--steps", ["--num-inference-steps"], "sampling steps; default: the model's, 30 for FLUX", 1, MostSteps);
    private readonly Option<string> _method = Opt.Choice("--sampling-method", "solver; default: the model's", [.. s_methods.Keys]);
    private readonly Option<double?> _cfg = Opt.Number("--cfg-scale", ["--true-cfg-scale"], "classifier-free guidance; 1 for none; default: the model's, 1 for FLUX", -1000, 1000);
    private readonly Option<double?> _guidance = Opt.Number("--guidance", ["--guidance-scale"], "distilled guidance (FLUX.1-dev); default: the model's, 3.5", 0, 1000);
    private readonly Option<double?> _shift = Opt.Number("--flow-shift", [], "shift of the noise levels; default: the model's", 0.001, 999);
    private readonly Option<Int128?> _seed = Opt.Seed("--seed", ["-s"], "seed; -1 for a random one", DefaultSeed);
    private readonly Option<string> _rng = Opt.Choice("--rng", "noise of PyTorch's CPU generator, or of Philox", ["torch", "philox"], "torch");
    private readonly Option<int?> _width = Opt.Whole("--width", ["-W"], "pixels; default: the model's", SmallestSide, LargestSide);
    private readonly Option<int?> _height = Opt.Whole("--height", ["-H"], "pixels; default: the model's", SmallestSide, LargestSide);
    private readonly Option<int?> _frames = Opt.Whole("--video-frames", "frames of a video, 4 n + 1; default: the model's", 1, MostFrames);
    private readonly Option<double?> _fps = Opt.Number("--fps", [], "frames per second of the video written; default: the model's", 0.01, 1000);
    private readonly Option<int?> _batch = Opt.Whole("--batch-count", ["-b"], "number of images; image i has seed + i", 1, MostImages, 1);
    private readonly Option<string> _output = Opt.Name(
        "--output", ["-o"], "FILE",
        "image: .png, .jpg, .webp or .bmp, - for a PNG on standard output (default output.png); video: .mp4, .webm, .webp, .gif, or .png for numbered frames "
        + "(default output.mp4); %d (%04d) is where the number goes");

    private readonly Option<string> _trace = Opt.Name("--cache-trace", "FILE", "write every cache decision as JSON lines");
    private readonly Option<bool> _json = Opt.Flag("--json", "one JSON object on standard output");
    private readonly Option<bool> _quiet = Opt.Flag("--quiet", ["-q"], "no progress");
    private readonly Terminal _terminal;
    private readonly CacheArguments _cache;
    private readonly BackendOptions _backend;

    private GenerateCommand(Command command, Terminal terminal)
    {
        _terminal = terminal;
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
        command.SetAction(RunAsync);
    }

    public static Command Create(Terminal terminal)
    {
        Command command = new("generate", "Generates an image or a video from a prompt.");
        _ = new GenerateCommand(command, terminal);
        return command;
    }

    private async Task<int> RunAsync(ParseResult result, CancellationToken cancel)
    {
        string model = result.GetValue(_model)!;
        bool video = Engine.FamilyOf(model) == ModelFamily.Wan;
        if (!video && result.GetValue(_fps) is not null)
        {
            throw new ArgumentException("--fps has no meaning for a model that makes images");
        }

        ICachePolicy policy = _cache.Create(result);
        bool json = result.GetValue(_json);
        OutputPlan plan = OutputPlan.Create(
            new OutputTargets
            {
                Output = result.GetValue(_output),
                Trace = result.GetValue(_trace),
                Video = video,
                Images = result.GetValue(_batch)!.Value,
                Frames = result.GetValue(_frames),
                Fps = result.GetValue(_fps),
                Width = result.GetValue(_width) ?? 0,
                Height = result.GetValue(_height) ?? 0,
                Json = json,
            },
            _terminal.Note);
        EngineOptions options = new()
        {
            Backend = _backend.Kind(result),
            Threads = _backend.Threads(result),
            Precision = _backend.Precision(result),
            DiffusionModel = result.GetValue(_diffusionModel),
            Log = _terminal.Note,
        };
        using Engine engine = await Task.Run(() => Engine.Load(model, options), cancel);
        GenerationRequest request = new()
        {
            Prompt = result.GetValue(_prompt)!,
            NegativePrompt = result.GetValue(_negative),
            Steps = result.GetValue(_steps),
            SamplingMethod = result.GetValue(_method) is { } method ? s_methods[method] : null,
            CfgScale = (float?)result.GetValue(_cfg),
            Guidance = (float?)result.GetValue(_guidance),
            FlowShift = (float?)result.GetValue(_shift),
            Seed = result.GetValue(_seed) is { } seed && seed >= 0 ? (ulong)seed : null,
            Width = result.GetValue(_width) ?? 0,
            Height = result.GetValue(_height) ?? 0,
            VideoFrames = result.GetValue(_frames) ?? 0,
            BatchCount = result.GetValue(_batch)!.Value,
            Rng = result.GetValue(_rng) == "philox" ? RngKind.Philox : RngKind.Torch,
            Cache = policy,
            KeepTrace = plan.Trace is not null,
        };
        OutputFiles files = new(
            plan, new PictureSettings(model, options.DiffusionModel, engine.Backend.Name, _cache.Mode(result), _cache.Given(result)), _terminal.Note);
        ProgressLine progress = new(_terminal.Error, result.GetValue(_quiet));
        GenerationResult generated;
        try
        {
            generated = await engine.GenerateAsync(request, progress, cancel);
        }
        catch (DiCacheException e) when (e.Latents is not null)
        {
            _terminal.Note(files.KeepLatents(e.Latents));
            throw;
        }
        finally
        {
            progress.Close();
        }

        cancel.ThrowIfCancellationRequested();
        double fps = result.GetValue(_fps) ?? generated.Fps;
        IReadOnlyList<string> outputs = await files.WriteAsync(generated, fps, cancel);
        files.WriteTrace(generated);
        Report(result, engine, generated, outputs, fps, json);
        return CommandLine.Ok;
    }

    // By the folder of the encoder.
    private static JsonObject Tokens(GenerationResult generated, Func<PromptTokens, int> count) =>
        new(generated.PromptTokens.Select(p => KeyValuePair.Create(p.Encoder, (JsonNode?)count(p))));

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
            _terminal.WriteJson(new JsonObject
            {
                ["output"] = outputs[0],
                ["outputs"] = JsonReport.List(outputs),
                ["width"] = image.Width,
                ["height"] = image.Height,
                ["frames"] = generated.Frames,
                ["fps"] = fps,
                ["seed"] = generated.Seed,
                ["steps"] = steps,
                ["prompt_tokens"] = Tokens(generated, p => p.Given),
                ["prompt_tokens_used"] = Tokens(generated, p => p.Used),
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
                ["notes"] = JsonReport.List(_terminal.Notes),
            });
            return;
        }

        string shown = outputs.Count > 4 ? $"{outputs[0]} to {outputs[^1]}" : string.Join(", ", outputs);
        string length = generated.Fps > 0 ? string.Create(CultureInfo.InvariantCulture, $", {generated.Frames} frames at {fps:0.###} a second") : string.Empty;
        double ideal = generated.Flops.IdealSpeedUp(cache.Full + cache.Resume, cache.Skip);
        // Standard output takes a picture alone.
        TextWriter report = outputs[0] == OutputPlan.StandardOutput ? _terminal.Error : _terminal.Output;
        report.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{shown}: {image.Width}x{image.Height}{length}, seed {generated.Seed}, {steps} steps on {engine.Backend.Name}; "
            + $"{cache.Full} full, {cache.Resume} resumed, {cache.Skip} skipped (ideal speed-up {ideal:0.00}x); "
            + $"load {t.Load:0} ms, text {t.Text:0} ms, denoise {t.Denoise:0} ms, vae {t.Vae:0} ms, total {t.Total:0} ms; peak memory {peak / 1048576.0:0} MiB"));
    }
}
