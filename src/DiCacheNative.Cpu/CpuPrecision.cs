namespace DiCacheNative.Cpu;

/// <summary>Precision of matrix products on the CPU. Everything else is computed in binary32.</summary>
public enum CpuPrecision
{
    /// <summary>Binary32 operands and sums.</summary>
    F32,

    /// <summary>
    /// Operands rounded to bfloat16, binary32 sums: less exact, and faster where the processor has bf16 instructions and oneDNN is there. Our
    /// own kernels compute it everywhere, as fast as <see cref="F32"/>, with two bytes per weight.
    /// </summary>
    Bf16,

    /// <summary>
    /// <see cref="Bf16"/> for the layers whose weights are stored in bfloat16, where that is faster: on a processor with bf16 instructions, with
    /// oneDNN. <see cref="F32"/> otherwise.
    /// </summary>
    Auto,
}
