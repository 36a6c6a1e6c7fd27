namespace DiCacheNative.Backends;

/// <summary>A backend could not do its work: no device, not enough memory, a driver or library error.</summary>
public class BackendException : DiCacheException
{
    /// <summary>Creates the exception.</summary>
    public BackendException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, while doing what, and what to do about it.</param>
    public BackendException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, while doing what, and what to do about it.</param>
    /// <param name="innerException">The cause.</param>
    public BackendException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
