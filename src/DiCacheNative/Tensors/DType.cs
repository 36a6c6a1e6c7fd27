namespace DiCacheNative.Tensors;

/// <summary>Element type of a tensor, in memory or in a checkpoint.</summary>
public enum DType
{
    /// <summary>IEEE 754 binary32.</summary>
    F32,

    /// <summary>IEEE 754 binary16.</summary>
    F16,

    /// <summary>bfloat16: the upper half of a binary32.</summary>
    BF16,

    /// <summary>IEEE 754 binary64 (golden data only; no backend computes in it).</summary>
    F64,

    /// <summary>64-bit signed integer (token ids, time steps).</summary>
    I64,

    /// <summary>32-bit signed integer.</summary>
    I32,
}

/// <summary>Facts about element types.</summary>
public static class DTypes
{
    /// <summary>Size of one element in bytes.</summary>
    /// <param name="type">The element type.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such type.</exception>
    public static int Size(this DType type) => type switch
    {
        DType.F64 or DType.I64 => 8,
        DType.F32 or DType.I32 => 4,
        DType.F16 or DType.BF16 => 2,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "there is no such element type"),
    };
}
