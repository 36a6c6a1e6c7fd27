namespace DiCacheNative;

/// <summary>A loaded model with all its parts: prompt in, image or video out.</summary>
public interface IPipeline : IDisposable
{
    /// <summary>Which model it is.</summary>
    ModelFamily Family { get; }

    /// <summary>Generates on the calling thread. May be called from several threads.</summary>
    /// <param name="request">What to generate; what it leaves open is the model's own.</param>
    /// <param name="loadMilliseconds">Load time to report.</param>
    /// <param name="progress">Told about every step.</param>
    /// <param name="cancellationToken">Ends the generation between blocks.</param>
    /// <exception cref="ArgumentException">A setting lies outside its range, or the model does not have it.</exception>
    /// <exception cref="Backends.BackendException">Not enough memory for the size, or a device error.</exception>
    /// <exception cref="OperationCanceledException">The generation was cancelled.</exception>
    GenerationResult Generate(
        GenerationRequest request, double loadMilliseconds = 0, IProgress<GenerationProgress>? progress = null, CancellationToken cancellationToken = default);
}
