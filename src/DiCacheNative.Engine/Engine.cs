using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Lifetimes;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>
/// A loaded pipeline, for images or videos: text encoders, transformer and VAE. Weights are shared by all generations, which are independent of each other and
/// may run at the same time on different threads.
/// </summary>
/// <remarks>
/// The engine owns <see cref="Pipeline"/> and <see cref="Backend"/>: they end with it, and so does what was made from them. It may be disposed
/// at any time, from any thread.
/// </remarks>
/// <example><code>
/// using var engine = Engine.Load("models/shapes-flux");
/// var result = await engine.GenerateAsync(new GenerationRequest { Prompt = "a green star", Cache = CacheOptions.DiCache() });
/// </code></example>
public sealed class Engine : IDisposable, IAsyncDisposable
{
    private readonly double _loadMilliseconds;
    private readonly RunningWork _running;

    private Engine(IBackend backend, IPipeline pipeline, double loadMilliseconds)
    {
        (Backend, Pipeline, _loadMilliseconds) = (backend, pipeline, loadMilliseconds);
        _running = new RunningWork(nameof(Engine), Free);
    }

    /// <summary>The backend that runs the transformer; its operations can be called directly.</summary>
    public IBackend Backend { get; }

    /// <summary>
    /// The pipeline: a <see cref="FluxPipeline"/> or a <see cref="WanPipeline"/>, which give their tokenizers, encoders, sampler, decoder and
    /// transformer one by one. Callers that bring their own sampler lay the transformer out with its CreateProgram and step a <see cref="DiTSession"/>.
    /// </summary>
    public IPipeline Pipeline { get; }

    /// <summary>Which model a folder holds; nothing is loaded.</summary>
    /// <param name="path">As <see cref="Load"/> takes it.</param>
    /// <exception cref="ModelFormatException">There is no pipeline at the path, or one of an unknown model.</exception>
    public static ModelFamily FamilyOf(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return PipelineFolder.Locate(path).Family;
    }

    /// <summary>Loads a pipeline in the diffusers folder layout, with ONNX text encoders and decoder.</summary>
    /// <param name="path">Folder with model_index.json (FLUX or WAN), or with sampling.json and a WAN transformer; or a transformer file in one.</param>
    /// <param name="options">Backend, threads, log.</param>
    /// <exception cref="ModelFormatException">A file is missing, broken or of another model.</exception>
    /// <exception cref="BackendException">The backend is not available, or the weights do not fit.</exception>
    public static Engine Load(string path, EngineOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new EngineOptions();
        long start = Stopwatch.GetTimestamp();
        IBackend backend = BackendFactory.Create(options.Backend, options.Threads, options.Precision, options.Log);
        try
        {
            IPipeline pipeline = FamilyOf(path) == ModelFamily.Wan ? WanPipeline.Load(backend, path, options) : FluxPipeline.Load(backend, path, options);
            return new Engine(backend, pipeline, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        catch
        {
            backend.Dispose();
            throw;
        }
    }

    /// <summary>Generates images or a video. The work runs on a thread of the pool.</summary>
    /// <param name="request">What to generate.</param>
    /// <param name="progress">Told when a phase begins and about every step.</param>
    /// <param name="cancellationToken">
    /// Ends the generation: encoders and decoder at once, the transformer on the CPU within a task of the operation under way, on a GPU before the
    /// next segment of a step.
    /// </param>
    /// <exception cref="ArgumentException">A setting lies outside its range.</exception>
    /// <exception cref="BackendException">Not enough memory for the size, or a device error.</exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The engine was disposed, before or meanwhile.</exception>
    public Task<GenerationResult> GenerateAsync(GenerationRequest request, IProgress<GenerationProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        RequestRules.CheckMembers(request);
        RunningWork.Work work = _running.Enter(cancellationToken);
        return RunAsync(work, token => Pipeline.Generate(request, _loadMilliseconds, progress, token));
    }

    /// <summary>
    /// Frees models and backend. Generations under way are cancelled, end with an <see cref="ObjectDisposedException"/>, and are waited for;
    /// called from inside one of their callbacks, it does not wait, and everything is freed as the last generation ends. Later calls are
    /// refused. May be called twice.
    /// </summary>
    public void Dispose() => _running.Dispose();

    /// <summary>As <see cref="Dispose"/>, without blocking a thread while generations end.</summary>
    public ValueTask DisposeAsync() => _running.DisposeAsync();

    private static async Task<GenerationResult> RunAsync(RunningWork.Work work, Func<CancellationToken, GenerationResult> generate)
    {
        using (work)
        {
            try
            {
                return await Task.Run(() => work.Run(generate), work.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException e) when (e.CancellationToken == work.Token)
            {
                // It was cancelled before a thread took it up.
                throw work.Reason(e);
            }
        }
    }

    private void Free()
    {
        Pipeline.Dispose();
        Backend.Dispose();
    }
}
