using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Imaging;
using DiCacheNative.Lifetimes;
using DiCacheNative.Models;
using DiCacheNative.Models.Wan;
using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Sampling;
using DiCacheNative.Text;
using DiCacheNative.Text.Cleaning;

namespace DiCacheNative;

/// <summary>Text to video with WAN 2.1: text encoder, transformer with classifier-free guidance, flow solver, tiled video decoder.</summary>
public sealed class WanPipeline : IPipeline
{
    // 8 pixels per latent, patches of 2 x 2 latents.
    private const int TokenPixels = 16;

    // Folder of the encoder.
    private const string Encoder = "text_encoder";

    private readonly WanPipelineConfig _config;
    private readonly Tokenizer _tokenizer;
    private readonly ITextEncoder _encoder;
    private readonly IVideoDecoder _decoder;
    private readonly KnownWords? _words;
    private readonly VideoTiling _tiling;
    private readonly MemoryRules _memory;
    private readonly Action<string>? _log;
    private readonly RunningWork _running;

    private WanPipeline(WanPipelineConfig config, WanModel transformer, Tokenizer tokenizer, ITextEncoder encoder, IVideoDecoder decoder, KnownWords? words,
        EngineOptions options)
    {
        Transformer = transformer;
        (_config, _tokenizer, _encoder, _decoder, _words, _log, _tiling) = (config, tokenizer, encoder, decoder, words, options.Log, options.VideoTiling);
        _memory = new MemoryRules(transformer.Backend, options.FreeHostMemory);
        _running = new RunningWork(nameof(WanPipeline), Free);
    }

    /// <inheritdoc/>
    public ModelFamily Family => ModelFamily.Wan;

    /// <summary>The transformer.</summary>
    public WanModel Transformer { get; }

    /// <summary>Loads the parts of a pipeline.</summary>
    /// <param name="backend">Where the transformer runs; stays the caller's.</param>
    /// <param name="path">Folder with sampling.json and config.json, or with model_index.json; or a transformer file inside such a folder.</param>
    /// <param name="options">Threads, transformer file and tiles of the decoder.</param>
    /// <exception cref="ModelFormatException">A file is missing, broken or of another model.</exception>
    public static WanPipeline Load(IBackend backend, string path, EngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(options);
        PipelineFolder folder = PipelineFolder.Locate(path);
        WanPipelineConfig config = WanPipelineConfig.Read(folder);
        int threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount;
        OnnxTextEncoder? encoder = null;
        OnnxVideoDecoder? decoder = null;
        WanModel? transformer = null;
        try
        {
            Tokenizer tokenizer = Tokenizer.Load(Path.Combine(folder.Path, "tokenizer"));
            MemoryRules.RequireGraphs(options.FreeHostMemory, folder.Path, Encoder, "vae_decoder");
            encoder = OnnxTextEncoder.Load(Path.Combine(folder.Path, Encoder, "model.onnx"), threads);
            decoder = OnnxVideoDecoder.Load(Path.Combine(folder.Path, "vae_decoder", "model.onnx"), threads, options.VideoTiling);
            transformer = WanModel.Load(backend, options.DiffusionModel ?? config.Transformer, options.Log);
            if (transformer.Config.HasImage)
            {
                throw new ModelFormatException(
                    $"{options.DiffusionModel ?? config.Transformer} is an image-to-video model, which needs a first frame; this engine runs text-to-video "
                    + $"models");
            }

            RequireFit(transformer.Config, tokenizer, encoder, decoder);
            return new WanPipeline(config, transformer, tokenizer, encoder, decoder, KnownWords.Read(folder.Path), options);
        }
        catch
        {
            encoder?.Dispose();
            decoder?.Dispose();
            transformer?.Dispose();
            throw;
        }
    }

    private static void RequireFit(WanConfig config, Tokenizer tokenizer, OnnxTextEncoder encoder, OnnxVideoDecoder decoder)
    {
        if (config.OutChannels != WanPipelineConfig.LatentChannels || decoder.LatentChannels is not (null or WanPipelineConfig.LatentChannels))
        {
            throw new ModelFormatException(
                $"the transformer gives latents of {config.OutChannels} channels and the decoder takes {decoder.LatentChannels ?? config.OutChannels}, "
                    + $"where WAN has {WanPipelineConfig.LatentChannels}");
        }

        tokenizer.RequireRoom(encoder.SequenceLength ?? config.TextTokens);
    }

    /// <summary>Token ids of a prompt, which is cleaned first as the published pipelines do it (<see cref="PromptCleaning"/>).</summary>
    public TokenizedText Tokenize(string prompt) => TokenizeClean(PromptCleaning.Clean(prompt));

    private TokenizedText TokenizeClean(string prompt) => _tokenizer.Encode(prompt, _encoder.SequenceLength ?? Transformer.Config.TextTokens);

    /// <summary>States of the prompt's tokens [L, text width], without those of padding: the transformer sees zeros there.</summary>
    /// <exception cref="ModelFormatException">The encoder does not fit the transformer.</exception>
    /// <exception cref="ObjectDisposedException">The pipeline was disposed.</exception>
    public float[] EncodePrompt(string prompt, CancellationToken cancellationToken = default) =>
        _running.Run(token => Encode(Tokenize(prompt), token), cancellationToken);

    private float[] Encode(TokenizedText ids, CancellationToken cancellationToken)
    {
        TextFeatures features = _encoder.Encode([ids], cancellationToken);
        WanConfig config = Transformer.Config;
        if (features.Width != config.TextDim || features.Tokens > config.TextTokens)
        {
            throw new ModelFormatException(
                $"the text encoder gives {features.Tokens} states of {features.Width} features, but the transformer takes {config.TextTokens} of "
                    + $"{config.TextDim}");
        }

        return features.HiddenStates[..(ids.TokenCount * features.Width)];
    }

    /// <summary>The sampler of a request: noise levels and solver.</summary>
    /// <param name="method">Solver; null for the model's own.</param>
    /// <param name="steps">Number of steps.</param>
    /// <param name="flowShift">Shift of the noise levels; null for the model's own.</param>
    public ISampler CreateSampler(SamplingMethod? method, int steps, float? flowShift = null)
    {
        (double shift, int levels) = (flowShift ?? _config.Scheduler.Shift, _config.Scheduler.TrainTimesteps);
        return (method ?? _config.Method) switch
        {
            SamplingMethod.Euler => FlowMatchEuler.Create(_config.Scheduler, steps, 0, shift),
            SamplingMethod.DpmPlusPlus => new DpmPlusPlusFlow(steps, shift, levels),
            _ => new UniPcFlow(steps, shift, levels),
        };
    }

    /// <summary>Start noise of a seed, [C, f, h, w].</summary>
    public float[] Noise(RngKind rng, ulong seed, LatentSize latent)
    {
        float[] noise = new float[Transformer.Config.OutChannels * latent.Positions];
        INoiseSource.Create(rng, seed).Fill(noise);
        return noise;
    }

    /// <inheritdoc/>
    public GenerationResult Generate(
        GenerationRequest request, double loadMilliseconds = 0, IProgress<GenerationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        RequestRules.CheckMembers(request);
        GenerationNotes notes = new(_log);
        GenerationRequest resolved = Resolve(request, notes);
        return _running.Run(token => Run(resolved, notes, loadMilliseconds, progress, token), cancellationToken);
    }

    private GenerationResult Run(
        GenerationRequest request, GenerationNotes notes, double loadMilliseconds, IProgress<GenerationProgress>? progress, CancellationToken cancellationToken)
    {
        LatentSize size = LatentSize.OfVideo(request.VideoFrames, request.Height, request.Width);
        long start = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Text));
        string[] given = Branches(request) == 1 ? [request.Prompt] : [request.Prompt, request.NegativePrompt!],
            prompts = [.. given.Select(PromptCleaning.Clean)];
        TokenizedText[] ids = [.. prompts.Select(TokenizeClean)];
        for (int i = 0; i < ids.Length; i++)
        {
            notes.AddCut(i == 0 ? "prompt" : "negative prompt", Encoder, prompts[i], _tokenizer, ids[i]);
            notes.Add(_words?.Problem(prompts[i]));
        }

        _memory.Require(Plan(request, size), $"a video of {request.VideoFrames} frames of {request.Width}x{request.Height} pixels");
        float[][] states = [.. ids.Select(i => Encode(i, cancellationToken))];
        double textMs = Stopwatch.GetElapsedTime(start).TotalMilliseconds;

        long denoiseStart = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Denoise, request.Steps!.Value));
        Sampled sampled = Sample(request, states, size, progress, cancellationToken);
        double denoiseMs = Stopwatch.GetElapsedTime(denoiseStart).TotalMilliseconds;

        long vaeStart = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Decode));
        ImagePlanes planes = new UndecodedLatents(sampled.Latents, [Transformer.Config.OutChannels, size.Frames, size.Height, size.Width])
            .Guard(() => Decode(sampled.Latents, size, cancellationToken));
        double vaeMs = Stopwatch.GetElapsedTime(vaeStart).TotalMilliseconds;
        notes.AddCache(sampled.Cache, request.Cache);
        return new GenerationResult
        {
            Images = [.. Enumerable.Range(0, planes.Batch).Select(planes.ToImage)],
            Planes = planes,
            Fps = _config.Fps,
            Latents = sampled.Latents,
            Request = request,
            Notes = notes.All,
            PromptTokens = [new PromptTokens(Encoder, ids[0].GivenCount, ids[0].TokenCount)],
            Cache = sampled.Cache,
            Trace = sampled.Trace,
            CacheBytes = sampled.CacheBytes,
            Flops = sampled.Flops,
            Times = new GenerationTimes(
                loadMilliseconds, textMs, denoiseMs, vaeMs, Stopwatch.GetElapsedTime(start).TotalMilliseconds),
        };
    }

    /// <inheritdoc/>
    public MemoryPlan PlanMemory(GenerationRequest request)
    {
        RequestRules.CheckMembers(request);
        request = Resolve(request, new GenerationNotes(null));
        return Plan(request, LatentSize.OfVideo(request.VideoFrames, request.Height, request.Width));
    }

    /// <summary>Takes noise to latents; the memory of activations and cache is free again afterwards, for the decoder.</summary>
    private Sampled Sample(
        GenerationRequest request, float[][] states, LatentSize size, IProgress<GenerationProgress>? progress, CancellationToken cancellationToken)
    {
        using WanProgram program = Transformer.CreateProgram(Shape(request, size));
        program.Cancellation = cancellationToken;
        for (int branch = 0; branch < states.Length; branch++)
        {
            program.SetConditions(branch, new WanConditions { Text = states[branch] });
        }

        using DiTSession session = new(program, request.Cache, SessionOptionsOf(request));
        float[] latents = Noise(request.Rng, request.Seed!.Value, size);
        ISampler sampler = CreateSampler(request.SamplingMethod, request.Steps!.Value, request.FlowShift);
        DenoisingLoop.Run(session, sampler, request.CfgScale!.Value, latents, request.OnStep, progress, cancellationToken);
        return new Sampled(latents, session.Stats, [.. session.Trace], session.CacheBytes, program.Flops(Math.Max(1, request.Cache.ProbeDepth)));
    }

    private static int Branches(GenerationRequest request) => request.CfgScale == 1f ? 1 : 2;

    private static SessionOptions SessionOptionsOf(GenerationRequest request) =>
        new() { Branches = Branches(request), KeepTrace = request.KeepTrace, ProbeForm = request.ProbeForm };

    private static WanShape Shape(GenerationRequest request, LatentSize size) => new(size) { Slots = Branches(request), MaxSteps = request.Steps!.Value };

    /// <summary>What a request takes: a tile of the decoder at a time, the whole decoded video, and its frames.</summary>
    private MemoryPlan Plan(GenerationRequest request, LatentSize size)
    {
        WanConfig config = Transformer.Config;
        MemoryPlan sampling = WanModel.Plan(config, Shape(request, size), request.Cache, SessionOptionsOf(request), Transformer.Backend.ActivationType);
        long Pixels(int frames, int height, int width) => ((4L * (frames - 1)) + 1) * 64 * height * width;
        long video = Pixels(size.Frames, size.Height, size.Width);
        long tile = Pixels(Math.Min(size.Frames, _tiling.Tile.Frames), Math.Min(size.Height, _tiling.Tile.Height), Math.Min(size.Width, _tiling.Tile.Width));
        const int floatsPerPixel = 3, bytesPerPixel = 3, latentCopies = 6;
        return sampling with
        {
            TextBytes = MemoryRules.TextBytes(_encoder.SequenceLength ?? config.TextTokens, config.TextDim),
            DecoderBytes = (long)(tile * _config.DecoderBytesPerPixel),
            ResultBytes = (video * ((sizeof(float) * floatsPerPixel) + bytesPerPixel)) + (tile * sizeof(float) * floatsPerPixel)
                + ((long)size.Positions * config.OutChannels * sizeof(float) * latentCopies),
        };
    }

    /// <summary>Decodes latents [C, f, h, w] to frames, [F, 3, H, W] with the frames as the batch.</summary>
    /// <exception cref="ObjectDisposedException">The pipeline was disposed.</exception>
    public ImagePlanes Decode(float[] latents, LatentSize size, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(latents);
        if (_config.Normalization is { } normalization)
        {
            int each = size.Positions;
            latents = [.. latents.Select((v, i) => (v * (float)normalization.Std[i / each]) + (float)normalization.Mean[i / each])];
        }

        return _running.Run(token => _decoder.Decode(latents, size, token), cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _running.Dispose();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _running.DisposeAsync();

    private void Free()
    {
        _encoder.Dispose();
        _decoder.Dispose();
        Transformer.Dispose();
    }

    /// <summary>The request with what it leaves open filled in, checked.</summary>
    private GenerationRequest Resolve(GenerationRequest request, GenerationNotes notes)
    {
        RequestRules.Require(request.BatchCount == 1, $"videos are generated one at a time, not {request.BatchCount}");
        float cfg = request.CfgScale ?? _config.CfgScale;
        notes.AddIdleSettings(request, cfg);
        notes.AddIf(request.Guidance is not null,
            "the distilled guidance has no effect: WAN models have none; their guidance is the classifier-free one (CFG)");
        GenerationRequest resolved = request with
        {
            NegativePrompt = cfg == 1 ? null : request.NegativePrompt ?? _config.NegativePrompt,
            Guidance = null,
            Width = request.Width == 0 ? _config.Video.Width : request.Width,
            Height = request.Height == 0 ? _config.Video.Height : request.Height,
            VideoFrames = request.VideoFrames == 0 ? _config.Video.Frames : request.VideoFrames,
            Steps = request.Steps ?? _config.Steps,
            CfgScale = cfg,
            FlowShift = request.FlowShift ?? (float)_config.Scheduler.Shift,
            SamplingMethod = request.SamplingMethod ?? _config.Method,
            Seed = request.Seed ?? RequestRules.DrawSeed(),
        };
        RequestRules.Check(resolved, TokenPixels);
        RequestRules.Require(
            resolved.SamplingMethod == SamplingMethod.Euler || resolved.Steps <= _config.Scheduler.TrainTimesteps,
            $"{resolved.Steps} steps are more than the {_config.Scheduler.TrainTimesteps} noise levels of this model's training, which its solver tells apart");
        RequestRules.RequireCountable(resolved.VideoFrames, resolved.Width, resolved.Height);
        RequestRules.Require(
            resolved.VideoFrames is > 0 and <= RequestRules.MostFrames && resolved.VideoFrames % 4 == 1,
            $"the number of frames must be 4 n + 1, up to {RequestRules.MostFrames}, not {resolved.VideoFrames}");
        return resolved;
    }
}
