using DiCacheNative.Backends;

namespace DiCacheNative.Cuda;

/// <summary>
/// A call into the CUDA driver or a CUDA library failed. The message names the error, the call and what the engine was doing. After an
/// error with <see cref="ContextLost"/> nothing of the process can use the device any more: the process has to be started again.
/// </summary>
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
        : this(name, code, call, $"{name} ({code}) in {call} while {doing}", false)
    {
    }

    private CudaException(string name, int code, string call, string message, bool contextLost)
        : base(message)
    {
        (Name, Code, Call, ContextLost) = (name, code, call, contextLost);
    }

    /// <summary>The error of a kernel, which a call has noticed.</summary>
    /// <param name="name">The error's name.</param>
    /// <param name="code">Its number.</param>
    /// <param name="call">The call that noticed it.</param>
    /// <param name="doing">What the engine was doing then, to be read after "while".</param>
    internal static CudaException Lost(string name, int code, string call, string doing) => new(
        name,
        code,
        call,
        $"{name} ({code}): a kernel failed, which was noticed in {call} while {doing}; the device is lost to this process, which has to be "
        + "started again (with DICACHE_SYNC=1 in its environment the kernel is named)",
        true);

    /// <summary>The same failure, met again.</summary>
    internal CudaException Again() => new(Name, Code, Call, Message, ContextLost);

    /// <summary>The error's name, as in CUDA_ERROR_OUT_OF_MEMORY.</summary>
    public string Name { get; } = "";

    /// <summary>The error's number in the API that returned it.</summary>
    public int Code { get; }

    /// <summary>The call that returned it, as written in the source.</summary>
    public string Call { get; } = "";

    /// <summary>
    /// True when the device is lost to this process: a kernel has failed, and every later call returns its error, the calls of other
    /// engines and those that release something included. It is noticed by some later call, which is not at fault.
    /// </summary>
    public bool ContextLost { get; }

    /// <summary>The call without the object it was made on: "_driver.cuInit(0)" becomes "cuInit(0)".</summary>
    internal static string CallText(string expression)
    {
        int parenthesis = expression.IndexOf('(', StringComparison.Ordinal);
        int dot = parenthesis < 0 ? -1 : expression.LastIndexOf('.', parenthesis);
        return expression[(dot + 1)..];
    }
}
