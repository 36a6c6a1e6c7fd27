namespace DiCacheNative.Cpu;

/// <summary>Precision of matrix products on the CPU.</summary>
public enum CpuPrecision
{
    /// <summary>Binary32 operands and sums.</summary>
    F32,

    /// <summary>Operands rounded to bfloat16, binary32 sums: faster on processors with bf16 instructions, and less exact. Needs oneDNN.</summary>
    Bf16,
}
