namespace DiCacheNative;

/// <summary>In what the transformer computes.</summary>
public enum BackendPrecision
{
    /// <summary>binary32 on the CPU and on the host driver, bfloat16 with binary32 sums on a GPU.</summary>
    Auto,

    /// <summary>binary32 throughout.</summary>
    F32,

    /// <summary>bfloat16 products with binary32 sums; on the CPU only where oneDNN offers it.</summary>
    BF16,
}
