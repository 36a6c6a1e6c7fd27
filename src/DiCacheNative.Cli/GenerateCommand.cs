using System.CommandLine;
using DiCacheNative.Cli.Progress;
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
    private readonly Option<string> _negative = Opt.Text("--negative-prompt", ["-n"],
        "what it does not show (with --cfg-scale other than 1); default: the model's");
    private readonly Option<int?> _steps = Opt.Whole("--steps", ["--num-inference-steps"], "sampling steps; default: the model's, 30 for FLUX", 1, MostSteps);
    private readonly Option<string> _method = Opt.Choice("--sampling-method", "solver; default: the model's", [.. s_methods.Keys]);
    private readonly Option<double?> _cfg = Opt.Number("--cfg-scale", ["--true-cfg-scale"],
        "classifier-free guidance; 1 for none; default: the model's, 1 for FLUX", -1000, 1000);
    private readonly Option<double?> _guidance = Opt.Number("--guidance", ["--guidance-scale"], "distilled guidance (FLUX.1-dev); default: the model's, 3.5",
        0, 1000);
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
    private readonly Option<bool> _quiet = Opt.Flag("--quiet", ["-q"], "no progress; notes and errors alone");
    private readonly Option<bool> _verbose = Opt.Flag("--verbose", ["-v"], "a line for each step instead of a bar, or of one every ten seconds in a pipe");
    private readonly Terminal _terminal;
    private readonly CacheArguments _cache;
    private readonly BackendOptions _backend;

    private GenerateCommand(Command command, Terminal terminal)
    {
        _terminal = terminal;
        foreach (Option option in new Option[]
                 {
                     _model, _diffusionModel, _prompt, _negative, _steps, _method, _cfg, _guidance, _shift, _seed, _rng, _width, _height, _frames, _fps,
                         _batch, _output,
                     _trace, _json, _quiet, _verbose,
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
        if (result.GetValue(_quiet) && result.GetValue(_verbose))
        {
            throw new ArgumentException("--quiet and --verbose contradict each other");
        }

        string model = result.GetValue(_model)!;
        bool video = Engine.FamilyOf(model) == ModelFamily.Wan;
        string? diffusionModel = result.GetValue(_diffusionModel);
        CacheChoice cache = _cache.Create(result);
        CheckMeaning(result, cache, video);
        OutputPlan plan = OutputPlan.Create(Targets(result, video), _terminal.Note);
        GenerationRequest request = Request(result, cache, keepTrace: plan.Trace is not null);
        EngineOptions options = new()
        {
            Backend = _backend.Kind(result),
            Threads = _backend.Threads(result),
            Precision = _backend.Precision(result),
            DiffusionModel = diffusionModel,
            Log = _terminal.Note,
        };

        ProgressLevel level = result.GetValue(_verbose) ? ProgressLevel.Verbose : ProgressLevel.Normal;
        ProgressView view = ProgressView.Of(_terminal, result.GetValue(_quiet) ? ProgressLevel.Quiet : level);
        GenerationReport? report = null;
        IReadOnlyList<string> outputs = [];
        await view.RunAsync(async () =>
        {
            view.Begin("load");
            using Engine engine = await Task.Run(() => Engine.Load(model, options), cancel);
            OutputFiles files = new(
                plan, new PictureSettings(model, diffusionModel, _backend.PrecisionName(result), engine.Backend.Name, cache), _terminal.Note);
            GenerationResult generated;
            try
            {
                generated = await engine.GenerateAsync(request, view, cancel);
            }
            catch (DiCacheException e) when (e.Latents is not null)
            {
                _terminal.Note(files.KeepLatents(e.Latents));
                throw;
            }

            cancel.ThrowIfCancellationRequested();
            view.Begin("write");
            double fps = video ? result.GetValue(_fps) ?? generated.Fps : 0;
            outputs = await files.WriteAsync(generated, fps, cancel);
            files.WriteTrace(generated);
            report = new GenerationReport(model, diffusionModel, _backend.PrecisionName(result), engine, cache, fps, generated);
        });
        report!.Write(_terminal, outputs, plan.Trace, result.GetValue(_json));
        return CommandLine.Ok;
    }

    private OutputTargets Targets(ParseResult result, bool video) => new()
    {
        Output = result.GetValue(_output),
        Trace = result.GetValue(_trace),
        Video = video,
        Images = result.GetValue(_batch)!.Value,
        Frames = result.GetValue(_frames),
        Fps = result.GetValue(_fps),
        Width = result.GetValue(_width) ?? 0,
        Height = result.GetValue(_height) ?? 0,
        Json = result.GetValue(_json),
    };

    private GenerationRequest Request(ParseResult result, CacheChoice cache, bool keepTrace) => new()
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
        Cache = cache.Policy,
        KeepTrace = keepTrace,
    };

    // What the engine cannot know to have been asked for; settings of the request without effect are its notes.
    private void CheckMeaning(ParseResult result, CacheChoice cache, bool video)
    {
        if (!video && new Option[] { _fps, _frames }.FirstOrDefault(o => result.Given(o)) is { } option)
        {
            throw new ArgumentException($"{option.Name} has no meaning for a model that makes images");
        }

        if (cache.Given.Contains("scope") && (video || result.GetValue(_batch) == 1))
        {
            _terminal.Note("the cache option scope has no effect: there is one sample, which decides for itself");
        }
    }
}
