namespace DiCacheNative.Cuda;

/// <summary>Choices of a <see cref="CudaBackend"/>.</summary>
public sealed record CudaBackendOptions
{
    /// <summary>How activations and weights are stored.</summary>
    public CudaPrecision Precision { get; init; }

    /// <summary>Which device, counted from 0 in the driver's order.</summary>
    public int DeviceIndex { get; init; }

    /// <summary>The native libraries; null to look for NVIDIA's.</summary>
    public CudaLibraries? Libraries { get; init; }

    /// <summary>
    /// Folder of compiled kernels; null for the one named by the environment variable DICACHE_KERNEL_CACHE, else one in the user's cache folder.
    /// </summary>
    public string? KernelCacheFolder { get; init; }

    /// <summary>Receives notes, one sentence each.</summary>
    public Action<string>? Log { get; init; }

    /// <summary>
    /// Told when the driver refuses to release something, which Dispose and finalizers never throw. Called on any thread.
    /// </summary>
    public Action<CudaException>? OnReleaseFailure { get; init; }
}
