namespace DiCacheNative.Cuda;

/// <summary>How a CUDA backend stores activations and weights. Sums are binary32 either way.</summary>
public enum CudaPrecision
{
    /// <summary>bfloat16: for use.</summary>
    BF16,

    /// <summary>binary32 throughout, without TF32: for comparison with the CPU backend. Slow, and twice the memory.</summary>
    F32,
}
