namespace DiCacheNative;

/// <summary>A loaded model with all its parts: prompt in, image or video out.</summary>
/// <remarks>
/// Its Dispose frees encoders, transformer and decoder: calls under way are cancelled, end with an <see cref="ObjectDisposedException"/>, and
/// are waited for (from inside one of their callbacks: not waited for, and freed as they end); later calls are refused with the same
/// exception. DisposeAsync does so without blocking a thread. Either may be called twice. Tokenizers and samplers need nothing that is freed.
/// </remarks>
public interface IPipeline : IDisposable, IAsyncDisposable
{
    /// <summary>Which model it is.</summary>
    ModelFamily Family { get; }

    /// <summary>What memory a request would take, told without taking any of it. <see cref="Generate"/> refuses a request that does not fit before its first
    /// step.</summary>
    /// <param name="request">The request.</param>
    /// <exception cref="ArgumentException">A setting lies outside its range, or the model does not have it.</exception>
    Models.MemoryPlan PlanMemory(GenerationRequest request);

    /// <summary>Generates on the calling thread. May be called from several threads.</summary>
    /// <param name="request">What to generate; what it leaves open is the model's own.</param>
    /// <param name="loadMilliseconds">Load time to report.</param>
    /// <param name="progress">Told when a phase begins and about every step.</param>
    /// <param name="cancellationToken">
    /// Ends the generation: encoders and decoder at once, the transformer on the CPU within a task of the operation under way, on a GPU before the
    /// next segment of a step.
    /// </param>
    /// <exception cref="ArgumentException">A setting lies outside its range, or the model does not have it.</exception>
    /// <exception cref="Backends.BackendException">Not enough memory for the size, or a device error.</exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The pipeline was disposed, before or meanwhile.</exception>
    GenerationResult Generate(
        GenerationRequest request, double loadMilliseconds = 0, IProgress<GenerationProgress>? progress = null, CancellationToken cancellationToken = default);
}
