namespace DiCacheNative;

/// <summary>Which backend runs the transformer.</summary>
public enum BackendKind
{
    /// <summary>CUDA when there is a device, the CPU otherwise.</summary>
    Auto,

    /// <summary>The CPU.</summary>
    Cpu,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda,

    /// <summary>The CUDA backend on the host driver, which runs the kernels on the CPU: for tests, slow.</summary>
    CudaHost,
}
