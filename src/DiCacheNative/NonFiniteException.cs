namespace DiCacheNative;

/// <summary>Text features, latents or pixels hold NaN or infinity: the checkpoint, the step count or the settings cannot be used together.</summary>
public sealed class NonFiniteException : DiCacheException
{
    /// <summary>Creates the exception.</summary>
    public NonFiniteException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which numbers are not finite, what gave them, and what to do about it.</param>
    public NonFiniteException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which numbers are not finite, what gave them, and what to do about it.</param>
    /// <param name="innerException">The cause.</param>
    public NonFiniteException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
