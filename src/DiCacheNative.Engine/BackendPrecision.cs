namespace DiCacheNative;

/// <summary>In what the transformer computes.</summary>
public enum BackendPrecision
{
    /// <summary>
    /// On a GPU bfloat16 with binary32 sums; on the host driver binary32. On the CPU binary32, but bfloat16 products for weights that are stored in
    /// bfloat16 where those are faster: the processor has instructions for them, and oneDNN is there. The backend's description says which.
    /// </summary>
    Auto,

    /// <summary>binary32 throughout.</summary>
    F32,

    /// <summary>bfloat16 products with binary32 sums; on the CPU everything but the products stays binary32.</summary>
    BF16,
}
