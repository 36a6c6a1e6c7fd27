using DiCacheNative.Backends;

namespace DiCacheNative.Cuda;

/// <summary>A call into the CUDA driver or a CUDA library failed. The message names the error, the call and what the engine was doing.</summary>
public class CudaException : BackendException
{
    /// <summary>Creates the exception.</summary>
    public CudaException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, while doing what.</param>
    public CudaException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">What failed, while doing what.</param>
    /// <param name="innerException">The cause.</param>
    public CudaException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="name">The error's name, as in CUDA_ERROR_OUT_OF_MEMORY.</param>
    /// <param name="code">Its number.</param>
    /// <param name="call">The call that returned it.</param>
    /// <param name="doing">What the engine was doing, to be read after "while".</param>
    public CudaException(string name, int code, string call, string doing)
        : base($"{name} ({code}) in {call} while {doing}")
    {
        (Name, Code, Call) = (name, code, call);
    }

    /// <summary>The error's name, as in CUDA_ERROR_OUT_OF_MEMORY.</summary>
    public string Name { get; } = "";

    /// <summary>The error's number in the API that returned it.</summary>
    public int Code { get; }

    /// <summary>The call that returned it, as written in the source.</summary>
    public string Call { get; } = "";

    /// <summary>The call without the object it was made on: "_driver.cuInit(0)" becomes "cuInit(0)".</summary>
    internal static string CallText(string expression)
    {
        int parenthesis = expression.IndexOf('(', StringComparison.Ordinal);
        int dot = parenthesis < 0 ? -1 : expression.LastIndexOf('.', parenthesis);
        return expression[(dot + 1)..];
    }
}
