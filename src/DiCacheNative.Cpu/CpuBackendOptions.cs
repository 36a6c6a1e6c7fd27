namespace DiCacheNative.Cpu;

/// <summary>Choices of a <see cref="CpuBackend"/>. The defaults are right for normal use; the others exist for tests and comparisons.</summary>
public sealed record CpuBackendOptions
{
    /// <summary>Number of threads, the calling one included; 0 for one per core. Results do not depend on it.</summary>
    public int Threads { get; init; }

    /// <summary>Vector width of the kernels.</summary>
    public SimdLevel Simd { get; init; }

    /// <summary>What multiplies matrices.</summary>
    public GemmEngine Gemm { get; init; }

    /// <summary>Precision of matrix products.</summary>
    public CpuPrecision Precision { get; init; }
}
