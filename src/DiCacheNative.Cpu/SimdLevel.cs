namespace DiCacheNative.Cpu;

/// <summary>Vector width of the CPU kernels.</summary>
public enum SimdLevel
{
    /// <summary>The widest that the processor has.</summary>
    Auto,

    /// <summary>16 floats: AVX-512.</summary>
    Vector512,

    /// <summary>8 floats: AVX2 with FMA.</summary>
    Vector256,

    /// <summary>Plain loops; runs on any processor.</summary>
    Scalar,
}
