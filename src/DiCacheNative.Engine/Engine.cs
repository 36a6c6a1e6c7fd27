using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;

namespace DiCacheNative;

/// <summary>
/// A loaded pipeline: text encoders, transformer and VAE. Weights are shared by all generations, which are independent of each other and
/// may run at the same time on different threads.
/// </summary>
/// <example><code>
/// using var engine = Engine.Load("models/shapes-flux");
/// var result = await engine.GenerateAsync(new GenerationRequest { Prompt = "a green star", Cache = CacheOptions.DiCache() });
/// </code></example>
public sealed class Engine : IDisposable
{
    private readonly EngineOptions _options;
    private readonly FluxPipeline _pipeline;
    private readonly double _loadMilliseconds;
    private int _generations;

    private Engine(EngineOptions options, IBackend backend, FluxPipeline pipeline, double loadMilliseconds)
    {
        (_options, Backend, _pipeline, _loadMilliseconds) = (options, backend, pipeline, loadMilliseconds);
    }

    /// <summary>The backend that runs the transformer; its operations can be called directly.</summary>
    public IBackend Backend { get; }

    /// <summary>The transformer, for callers that bring their own sampler: lay it out with <see cref="FluxModel.CreateProgram"/> and step a <see cref="DiTSession"/>.</summary>
    public FluxModel Transformer => _pipeline.Transformer;

    /// <summary>The parts of the pipeline one by one: tokenizers, encoders, sampler, decoder.</summary>
    public FluxPipeline Pipeline => _pipeline;

    /// <summary>Loads a pipeline in the diffusers folder layout, with ONNX text encoders and decoder.</summary>
    /// <param name="path">Folder with model_index.json.</param>
    /// <param name="options">Backend, threads, log.</param>
    /// <exception cref="ModelFormatException">A file is missing, broken or of another model.</exception>
    /// <exception cref="BackendException">The backend is not available, or the weights do not fit.</exception>
    public static Engine Load(string path, EngineOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new EngineOptions();
        long start = Stopwatch.GetTimestamp();
        IBackend backend = BackendFactory.Create(options.Backend, options.Threads, options.Precision);
        try
        {
            FluxPipeline pipeline = FluxPipeline.Load(backend, path, options);
            return new Engine(options, backend, pipeline, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Generates images. The work runs on a thread of the pool.</summary>
    /// <param name="request">What to generate.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellationToken">Ends the generation between blocks.</param>
    /// <exception cref="ArgumentException">A setting lies outside its range.</exception>
    /// <exception cref="BackendException">Not enough memory for the size, or a device error.</exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    public Task<GenerationResult> GenerateAsync(GenerationRequest request, IProgress<GenerationProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        double load = Interlocked.Increment(ref _generations) == 1 ? _loadMilliseconds : 0;
        return Task.Run(
            () =>
            {
                GenerationResult result = _pipeline.Generate(request, load, progress, cancellationToken);
                if (result.Cache.NeverEngaged)
                {
                    _options.Log?.Invoke(
                        $"the cache never engaged: all {result.Cache.Resume} probed calls were computed"
                        + (result.Cache.NonFinite > 0 ? $", {result.Cache.NonFinite} of them because their change was not finite" : "; raise the threshold, or use --cache-mode none"));
                }

                return result;
            },
            cancellationToken);
    }

    /// <summary>Frees models and backend. May be called twice.</summary>
    public void Dispose()
    {
        _pipeline.Dispose();
        Backend.Dispose();
    }
}
