using DiCacheNative.Backends;

namespace DiCacheNative.Cuda;

/// <summary>NVRTC rejected a kernel: an error in the kernel's source, or a compiler that is too old for it.</summary>
public sealed class KernelCompileException : BackendException
{
    /// <summary>Creates the exception.</summary>
    public KernelCompileException()
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which kernel could not be compiled.</param>
    public KernelCompileException(string message)
        : base(message)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which kernel could not be compiled.</param>
    /// <param name="innerException">The cause.</param>
    public KernelCompileException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>Creates the exception.</summary>
    /// <param name="file">File name of the kernel.</param>
    /// <param name="architecture">What it was compiled for, as in "sm_90".</param>
    /// <param name="log">What the compiler said.</param>
    /// <param name="source">The text that it rejected.</param>
    public KernelCompileException(string file, string architecture, string log, string source)
        : base($"the kernel {file} does not compile for {architecture}: {log.Trim()}")
    {
        (File, Architecture, Log, SourceText) = (file, architecture, log, source);
    }

    /// <summary>File name of the kernel.</summary>
    public string File { get; } = "";

    /// <summary>What it was compiled for.</summary>
    public string Architecture { get; } = "";

    /// <summary>What the compiler said.</summary>
    public string Log { get; } = "";

    /// <summary>The text that it rejected.</summary>
    public string SourceText { get; } = "";
}
