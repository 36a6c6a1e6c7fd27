namespace DiCacheNative;

/// <summary>
/// What every exception of this engine derives from, so that one handler sees them all: a file that is not what it must be
/// (<see cref="ModelFormatException"/>), a device that cannot do its work (<see cref="Backends.BackendException"/>), shapes that do not fit
/// (<see cref="Tensors.ShapeException"/>), numbers that are no longer finite (<see cref="NonFiniteException"/>). A caller's mistake is an
/// <see cref="ArgumentException"/>, use after Dispose an <see cref="ObjectDisposedException"/>, as everywhere in .NET.
/// </summary>
public abstract class DiCacheException : Exception
{
    /// <summary>Creates the exception.</summary>
    protected DiCacheException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, where, and what to do about it, in one sentence.</param>
    protected DiCacheException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, where, and what to do about it, in one sentence.</param>
    /// <param name="innerException">The cause.</param>
    protected DiCacheException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }

    /// <summary>
    /// The final latents, when the sampling had ended and the decoder failed: they can be saved and decoded elsewhere. Null for every
    /// other failure.
    /// </summary>
    public UndecodedLatents? Latents { get; internal set; }
}
