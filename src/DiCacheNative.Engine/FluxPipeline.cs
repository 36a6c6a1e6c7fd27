using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Lifetimes;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Sampling;
using DiCacheNative.Text;

namespace DiCacheNative;

/// <summary>Text to image with FLUX.1: two text encoders, transformer, flow-match Euler, VAE decoder.</summary>
public sealed class FluxPipeline : IPipeline
{
    // Lengths of CLIP-L and of T5 in FLUX.1-dev, for graphs and tokenizer files that leave it open.
    private const int PooledTokens = 77;
    private const int StatesTokens = 512;

    // Folders of the encoders.
    private const string PooledEncoder = "text_encoder";
    private const string StatesEncoder = "text_encoder_2";

    private const int DefaultSteps = 30;
    private const float DefaultGuidance = 3.5f;

    private readonly Tokenizer _pooledTokenizer;
    private readonly Tokenizer _statesTokenizer;
    private readonly ITextEncoder _pooledEncoder;
    private readonly ITextEncoder _statesEncoder;
    private readonly IVaeDecoder _decoder;
    private readonly FluxPipelineConfig _config;
    private readonly KnownWords? _words;
    private readonly ImageTiling? _tiling;
    private readonly MemoryRules _memory;
    private readonly Action<string>? _log;
    private readonly RunningWork _running;

    private FluxPipeline(
        FluxModel transformer, FluxPipelineConfig config, (Tokenizer Tokenizer, ITextEncoder Encoder) pooled,
        (Tokenizer Tokenizer, ITextEncoder Encoder) states,
        IVaeDecoder decoder, KnownWords? words, EngineOptions options)
    {
        Transformer = transformer;
        (_config, _words, _log, _tiling) = (config, words, options.Log, options.ImageTiling);
        _memory = new MemoryRules(transformer.Backend, options.FreeHostMemory);
        (_pooledTokenizer, _pooledEncoder) = pooled;
        (_statesTokenizer, _statesEncoder) = states;
        _decoder = decoder;
        _running = new RunningWork(nameof(FluxPipeline), Free);
    }

    /// <inheritdoc/>
    public ModelFamily Family => ModelFamily.Flux;

    /// <summary>The transformer.</summary>
    public FluxModel Transformer { get; }

    /// <summary>Settings of the scheduler.</summary>
    public SchedulerConfig Scheduler => _config.Scheduler;

    /// <summary>Width and height of an image when none is asked for, pixels.</summary>
    public int DefaultSize => _config.DefaultSize;

    /// <summary>Loads the parts of a pipeline.</summary>
    /// <param name="backend">Where the transformer runs; stays the caller's.</param>
    /// <param name="path">Folder with model_index.json, or a transformer file inside such a folder.</param>
    /// <param name="options">Threads and transformer file.</param>
    /// <exception cref="ModelFormatException">A file is missing, broken or of another model.</exception>
    public static FluxPipeline Load(IBackend backend, string path, EngineOptions options)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(options);
        options.ImageTiling?.Validate();
        PipelineFolder located = PipelineFolder.Locate(path);
        string folder = located.Path;
        FluxPipelineConfig config = FluxPipelineConfig.Read(folder);
        int threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount;
        Stack<IDisposable> loaded = [];
        T Keep<T>(T part)
            where T : IDisposable
        {
            loaded.Push(part);
            return part;
        }

        try
        {
            string Onnx(string part) => Path.Combine(folder, part, "model.onnx");
            Tokenizer pooledTokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer")),
                statesTokenizer = Tokenizer.Load(Path.Combine(folder, "tokenizer_2"));
            MemoryRules.RequireGraphs(options.FreeHostMemory, folder, PooledEncoder, StatesEncoder, "vae_decoder");
            OnnxTextEncoder pooled = Keep(OnnxTextEncoder.Load(Onnx(PooledEncoder), threads, maskPadding: false));
            OnnxTextEncoder states = Keep(OnnxTextEncoder.Load(Onnx(StatesEncoder), threads, maskPadding: false));
            OnnxVaeDecoder decoder = Keep(OnnxVaeDecoder.Load(Onnx("vae_decoder"), threads));
            string file = options.DiffusionModel ?? located.Transformer ?? Path.Combine(folder, "transformer");
            FluxModel transformer = Keep(FluxModel.Load(backend, file, options.Log));
            config.RequireOneModel(transformer.Config.InChannels, decoder.LatentChannels, folder);
            pooledTokenizer.RequireRoom(pooled.SequenceLength ?? pooledTokenizer.MaxLength ?? PooledTokens);
            statesTokenizer.RequireRoom(states.SequenceLength ?? statesTokenizer.MaxLength ?? StatesTokens);
            return new FluxPipeline(transformer, config, (pooledTokenizer, pooled), (statesTokenizer, states), decoder, KnownWords.Read(folder), options);
        }
        catch
        {
            while (loaded.TryPop(out IDisposable? part))
            {
                part.Dispose();
            }

            throw;
        }
    }

    /// <summary>Token ids of a prompt for the pooled (CLIP) and the states (T5) encoder.</summary>
    public (TokenizedText Pooled, TokenizedText States) Tokenize(string prompt) =>
        (_pooledTokenizer.Encode(prompt, _pooledEncoder.SequenceLength ?? _pooledTokenizer.MaxLength ?? PooledTokens),
            _statesTokenizer.Encode(prompt, _statesEncoder.SequenceLength ?? _statesTokenizer.MaxLength ?? StatesTokens));

    /// <summary>Text features of a prompt: pooled vector [P] and token states [L, J].</summary>
    /// <exception cref="ModelFormatException">The encoders do not fit the transformer.</exception>
    /// <exception cref="ObjectDisposedException">The pipeline was disposed.</exception>
    public (float[] Pooled, float[] States, int Tokens) EncodePrompt(string prompt, CancellationToken cancellationToken = default) =>
        _running.Run(token => Encode(Tokenize(prompt), token), cancellationToken);

    private (float[] Pooled, float[] States, int Tokens) Encode((TokenizedText Pooled, TokenizedText States) ids, CancellationToken cancellationToken)
    {
        TextFeatures pooled = _pooledEncoder.Encode([ids.Pooled], cancellationToken), states = _statesEncoder.Encode([ids.States], cancellationToken);
        FluxConfig config = Transformer.Config;
        if (pooled.PooledWidth != config.PooledDim || states.Width != config.JointDim)
        {
            throw new ModelFormatException(
                $"the text encoders give {pooled.PooledWidth} pooled and {states.Width} state features, but the transformer takes {config.PooledDim} and "
                    + $"{config.JointDim}");
        }

        return (pooled.Pooled, states.HiddenStates, states.Tokens);
    }

    /// <summary>The sampler of a request: noise levels and steps.</summary>
    public FlowMatchEuler CreateSampler(int steps, int imageTokens, float? flowShift = null) =>
        FlowMatchEuler.Create(_config.Scheduler, steps, imageTokens, flowShift);

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
        long start = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Text));
        int branches = Branches(request);
        (TokenizedText Pooled, TokenizedText States)[] ids = new (TokenizedText, TokenizedText)[branches];
        for (int i = 0; i < branches; i++)
        {
            (string what, string prompt) = i == 0 ? ("prompt", request.Prompt) : ("negative prompt", request.NegativePrompt!);
            ids[i] = Tokenize(prompt);
            notes.AddCut(what, PooledEncoder, prompt, _pooledTokenizer, ids[i].Pooled);
            notes.AddCut(what, StatesEncoder, prompt, _statesTokenizer, ids[i].States);
            notes.Add(_words?.Problem(prompt));
        }

        (MemoryPlan plan, ImageTiling? tiling) = Plan(request, ids[0].States.Ids.Length);
        notes.AddIf(
            tiling is not null && _tiling is null,
            $"the images are decoded in tiles of {tiling?.Tile * _config.TokenPixels / FluxPipelineConfig.Patch} pixels: the memory that is free does not "
                + $"suffice to decode them whole");
        _memory.Require(plan, Describe(request));
        (float[] Pooled, float[] States, int Tokens)[] prompts = [.. ids.Select(i => Encode(i, cancellationToken))];
        double textMs = Stopwatch.GetElapsedTime(start).TotalMilliseconds;

        long denoiseStart = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Denoise, request.Steps!.Value));
        Sampled sampled = Sample(request, prompts, progress, cancellationToken);
        double denoiseMs = Stopwatch.GetElapsedTime(denoiseStart).TotalMilliseconds;

        long vaeStart = Stopwatch.GetTimestamp();
        progress?.Report(GenerationProgress.Begin(GenerationPhase.Decode));
        (int samples, int gridHeight, int gridWidth) = (request.BatchCount, request.Height / _config.TokenPixels, request.Width / _config.TokenPixels);
        ImagePlanes planes = new UndecodedLatents(sampled.Latents, [samples, gridHeight * gridWidth, Transformer.Config.InChannels])
            .Guard(() => Decode(sampled.Latents, samples, gridHeight, gridWidth, tiling, cancellationToken));
        double vaeMs = Stopwatch.GetElapsedTime(vaeStart).TotalMilliseconds;
        notes.AddCache(sampled.Cache, request.Cache);
        return new GenerationResult
        {
            Images = [.. Enumerable.Range(0, samples).Select(planes.ToImage)],
            Planes = planes,
            Latents = sampled.Latents,
            Request = request,
            Notes = notes.All,
            PromptTokens = [Counted(PooledEncoder, ids[0].Pooled), Counted(StatesEncoder, ids[0].States)],
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
        ArgumentNullException.ThrowIfNull(request);
        return Plan(Resolve(request, new GenerationNotes(null)), Tokenize(string.Empty).States.Ids.Length).Plan;
    }

    /// <summary>Takes noise to latents; the memory of activations and cache is free again afterwards, for the decoder.</summary>
    private Sampled Sample(
        GenerationRequest request, (float[] Pooled, float[] States, int Tokens)[] prompts, IProgress<GenerationProgress>? progress,
        CancellationToken cancellationToken)
    {
        FluxShape shape = Shape(request, prompts[0].Tokens);
        using FluxProgram program = Transformer.CreateProgram(shape);
        program.Cancellation = cancellationToken;
        for (int slot = 0; slot < shape.Slots; slot++)
        {
            (float[] pooled, float[] states, _) = prompts[slot * prompts.Length / shape.Slots];
            program.SetConditions(
                slot, Repeat(states, shape.Batch), Repeat(pooled, shape.Batch), [.. Enumerable.Repeat(request.Guidance ?? DefaultGuidance, shape.Batch)]);
        }

        using DiTSession session = new(program, request.Cache, SessionOptionsOf(request));
        FlowMatchEuler sampler = CreateSampler(request.Steps!.Value, program.Tokens, request.FlowShift);
        float[] latents = Noise(request, request.Seed!.Value, shape.GridHeight, shape.GridWidth);
        DenoisingLoop.Run(session, sampler, request.CfgScale!.Value, latents, request.OnStep, progress, cancellationToken);
        return new Sampled(latents, session.Stats, [.. session.Trace], session.CacheBytes, program.Flops(Math.Max(1, request.Cache.ProbeDepth)));
    }

    private static int Branches(GenerationRequest request) => request.CfgScale == 1f ? 1 : 2;

    private static SessionOptions SessionOptionsOf(GenerationRequest request) =>
        new() { Branches = Branches(request), Samples = request.BatchCount, KeepTrace = request.KeepTrace, ProbeForm = request.ProbeForm };

    private static string Describe(GenerationRequest request) =>
        request.BatchCount == 1 ? $"an image of {request.Width}x{request.Height} pixels"
            : $"{request.BatchCount} images of {request.Width}x{request.Height} pixels";

    private FluxShape Shape(GenerationRequest request, int textTokens)
    {
        int samples = request.BatchCount, batch = request.Cache.Scope == DecisionScope.Sample ? 1 : samples;
        return new FluxShape(
            batch, request.Height / _config.TokenPixels, request.Width / _config.TokenPixels, textTokens, Branches(request) * (samples / batch),
            request.Steps!.Value);
    }

    /// <summary>What a request takes, and the tiles it is decoded in: those of the options, or none where the whole fits, or else the default ones.</summary>
    private (MemoryPlan Plan, ImageTiling? Tiling) Plan(GenerationRequest request, int textTokens)
    {
        MemoryPlan sampling = FluxModel.Plan(
            Transformer.Config, Shape(request, textTokens), request.Cache, SessionOptionsOf(request), Transformer.Backend.ActivationType);
        int factor = _config.TokenPixels / FluxPipelineConfig.Patch;
        MemoryPlan With(ImageTiling? tiling)
        {
            // Decoded values, the decoder's own copy of what it gave last, and the pictures of 8 bits; latents, noise, velocities and their copies.
            long pixels = (long)request.BatchCount * request.Width * request.Height, side = (long)(tiling?.Tile ?? int.MaxValue / factor) * factor;
            long atOnce = tiling is null ? pixels : Math.Min(side, request.Width) * Math.Min(side, request.Height);
            const int floatsPerPixel = 3, bytesPerPixel = 3, latentCopies = 6;
            return sampling with
            {
                TextBytes = MemoryRules.TextBytes(textTokens, Transformer.Config.JointDim),
                DecoderBytes = (long)(atOnce * _config.DecoderBytesPerPixel),
                ResultBytes = (pixels * ((sizeof(float) * floatsPerPixel) + bytesPerPixel)) + (atOnce * sizeof(float) * floatsPerPixel)
                    + (pixels / (factor * factor) * _config.LatentChannels * sizeof(float) * latentCopies),
            };
        }

        MemoryPlan whole = With(_tiling);
        // A size that no graph is made for by chance: a decoder that takes it takes any.
        bool canTile = _tiling is null && _decoder.Takes(1, ImageTiling.Default.Tile, ImageTiling.Default.Tile - 1)
            && Math.Max(request.Width, request.Height) > ImageTiling.Default.Tile * factor;
        return _memory.DecodingFits(whole) || !canTile ? (whole, _tiling) : (With(ImageTiling.Default), ImageTiling.Default);
    }

    /// <summary>Start noise of a request, packed tokens [B, T, C]: image i has the noise of seed + i (modulo 2^64) alone.</summary>
    public float[] Noise(GenerationRequest request, ulong seed, int gridHeight, int gridWidth)
    {
        ArgumentNullException.ThrowIfNull(request);
        int each = gridHeight * gridWidth * Transformer.Config.InChannels;
        float[] packed = new float[request.BatchCount * each], noise = new float[each];
        for (int i = 0; i < request.BatchCount; i++)
        {
            INoiseSource.Create(request.Rng, GenerationResult.SeedOf(seed, i)).Fill(noise);
            LatentPacking.Pack(noise, packed.AsSpan(i * each, each), _config.LatentChannels, gridHeight, gridWidth);
        }

        return packed;
    }

    /// <summary>Decodes packed latents [B, T, C] to images.</summary>
    /// <exception cref="ObjectDisposedException">The pipeline was disposed.</exception>
    public ImagePlanes Decode(ReadOnlySpan<float> latents, int batch, int gridHeight, int gridWidth, CancellationToken cancellationToken = default) =>
        Decode(latents, batch, gridHeight, gridWidth, _tiling, cancellationToken);

    private ImagePlanes Decode(ReadOnlySpan<float> latents, int batch, int gridHeight, int gridWidth, ImageTiling? tiling, CancellationToken cancellationToken)
    {
        float[] planes = new float[latents.Length];
        int each = latents.Length / batch;
        for (int i = 0; i < batch; i++)
        {
            LatentPacking.Unpack(latents.Slice(i * each, each), planes.AsSpan(i * each, each), _config.LatentChannels, gridHeight, gridWidth);
        }

        if (!_config.DecoderScales)
        {
            for (int i = 0; i < planes.Length; i++)
            {
                planes[i] = (planes[i] / _config.ScalingFactor) + _config.ShiftFactor;
            }
        }

        const int patch = FluxPipelineConfig.Patch;
        (int height, int width) = (gridHeight * patch, gridWidth * patch);
        bool whole = tiling is null && _decoder.Takes(batch, height, width);
        return _running.Run(
            token => whole ? _decoder.Decode(planes, batch, height, width, token)
                : TiledImageDecoding.Decode(_decoder, tiling, planes, batch, height, width, token),
            cancellationToken);
    }

    /// <inheritdoc/>
    public void Dispose() => _running.Dispose();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _running.DisposeAsync();

    private void Free()
    {
        _pooledEncoder.Dispose();
        _statesEncoder.Dispose();
        _decoder.Dispose();
        Transformer.Dispose();
    }

    private static PromptTokens Counted(string encoder, TokenizedText ids) => new(encoder, ids.GivenCount, ids.TokenCount);

    private static float[] Repeat(float[] values, int times)
    {
        float[] result = new float[values.Length * times];
        for (int i = 0; i < times; i++)
        {
            values.CopyTo(result, i * values.Length);
        }

        return result;
    }

    /// <summary>The request with what it leaves open filled in, checked.</summary>
    private GenerationRequest Resolve(GenerationRequest request, GenerationNotes notes)
    {
        RequestRules.Require(request.VideoFrames is 0 or 1, $"a FLUX model makes images, not videos of {request.VideoFrames} frames");
        RequestRules.Require(request.SamplingMethod is null or SamplingMethod.Euler, "FLUX is sampled with euler and no other method");
        float cfg = request.CfgScale ?? 1;
        bool guided = Transformer.Config.GuidanceEmbeds;
        notes.AddIdleSettings(request, cfg);
        notes.AddIf(!guided && request.Guidance is not null, "the distilled guidance has no effect: this model has no guidance embedding");
        GenerationRequest resolved = request with
        {
            NegativePrompt = cfg == 1 ? null : request.NegativePrompt ?? string.Empty,
            Guidance = guided ? request.Guidance ?? DefaultGuidance : null,
            Width = request.Width == 0 ? DefaultSize : request.Width,
            Height = request.Height == 0 ? DefaultSize : request.Height,
            VideoFrames = 1,
            Steps = request.Steps ?? DefaultSteps,
            CfgScale = cfg,
            SamplingMethod = SamplingMethod.Euler,
            Seed = request.Seed ?? RequestRules.DrawSeed(),
        };
        RequestRules.Check(resolved, _config.TokenPixels);
        int factor = _config.TokenPixels / FluxPipelineConfig.Patch, height = resolved.Height / factor, width = resolved.Width / factor;
        RequestRules.Require(
            _decoder.Takes(resolved.BatchCount, height, width) || _decoder.Takes(1, height, width) || _tiling is not null,
            $"the decoder of this model was made for another size than {resolved.Width}x{resolved.Height}");
        RequestRules.RequireCountable(resolved.BatchCount, resolved.Width, resolved.Height);
        return resolved;
    }
}
