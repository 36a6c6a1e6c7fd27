namespace DiCacheNative.Tensors;

/// <summary>Operands do not fit together; the message names them with their shapes.</summary>
public sealed class ShapeException : DiCacheException
{
    /// <summary>Creates the exception.</summary>
    public ShapeException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which operand, its shape and the shape expected.</param>
    public ShapeException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which operand, its shape and the shape expected.</param>
    /// <param name="innerException">The cause.</param>
    public ShapeException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
