using System.Runtime.Intrinsics;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;

namespace DiCacheNative.Cpu.Simd;

/// <summary>From a <see cref="SimdLevel"/> to kernels.</summary>
internal static class SimdLevels
{
    /// <summary>Whether this processor has a level.</summary>
    internal static bool IsSupported(SimdLevel level) => level switch
    {
        SimdLevel.Vector512 => Lanes16.IsSupported,
        SimdLevel.Vector256 => Lanes8.IsSupported,
        _ => true,
    };

    /// <summary>The level itself, or the widest for Auto.</summary>
    /// <exception cref="BackendException">The processor lacks it.</exception>
    internal static SimdLevel Resolve(SimdLevel level)
    {
        if (!IsSupported(level))
        {
            throw new BackendException(
                $"this processor has no {(level == SimdLevel.Vector512 ? "AVX-512 (F, BW, DQ, VL)" : "AVX2 with FMA")}; choose {SimdLevel.Auto}");
        }

        return level != SimdLevel.Auto ? level
            : Lanes16.IsSupported ? SimdLevel.Vector512
            : Lanes8.IsSupported ? SimdLevel.Vector256
            : SimdLevel.Scalar;
    }

    /// <summary>Kernels of a level that this processor has.</summary>
    internal static KernelTable Kernels(SimdLevel level) => level switch
    {
        SimdLevel.Vector512 => KernelTable.Of<Lanes16, Vector512<float>, Vector512<double>>(),
        SimdLevel.Vector256 => KernelTable.Of<Lanes8, Vector256<float>, Vector256<double>>(),
        _ => KernelTable.Of<Lanes1, float, double>(),
    };
}
