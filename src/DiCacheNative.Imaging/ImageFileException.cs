namespace DiCacheNative.Imaging;

/// <summary>A file is no picture, is broken, or is larger than what is read; the message says which.</summary>
public sealed class ImageFileException : DiCacheException
{
    /// <summary>Creates the exception.</summary>
    public ImageFileException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong with the file.</param>
    public ImageFileException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong with the file.</param>
    /// <param name="innerException">The cause.</param>
    public ImageFileException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
