using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>Facts about the loops of <see cref="PeakKernels{TSimd, TVector, TWide}"/>.</summary>
internal static class PeakKernels
{
    /// <summary>Independent chains: more than the latency of a multiply-add times the number that start per cycle.</summary>
    internal const int Chains = 12;
}

/// <summary>Nothing but multiply-adds.</summary>
internal static unsafe class PeakKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Runs the chains and returns their sum, so that none is left out.</summary>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    internal static float MultiplyAddChains(int repetitions)
    {
        TVector a = TSimd.Create(0.5f), b = TSimd.Create(1e-3f);
        TVector s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = s8 = s9 = s10 = s11 = TSimd.Zero;
        for (int i = 0; i < repetitions; i++)
        {
            s0 = TSimd.MultiplyAdd(a, b, s0);
            s1 = TSimd.MultiplyAdd(a, b, s1);
            s2 = TSimd.MultiplyAdd(a, b, s2);
            s3 = TSimd.MultiplyAdd(a, b, s3);
            s4 = TSimd.MultiplyAdd(a, b, s4);
            s5 = TSimd.MultiplyAdd(a, b, s5);
            s6 = TSimd.MultiplyAdd(a, b, s6);
            s7 = TSimd.MultiplyAdd(a, b, s7);
            s8 = TSimd.MultiplyAdd(a, b, s8);
            s9 = TSimd.MultiplyAdd(a, b, s9);
            s10 = TSimd.MultiplyAdd(a, b, s10);
            s11 = TSimd.MultiplyAdd(a, b, s11);
        }

        TVector low = TSimd.Add(TSimd.Add(TSimd.Add(s0, s1), TSimd.Add(s2, s3)), TSimd.Add(s4, s5));
        TVector high = TSimd.Add(TSimd.Add(TSimd.Add(s6, s7), TSimd.Add(s8, s9)), TSimd.Add(s10, s11));
        return TSimd.Sum(TSimd.Add(low, high));
    }
}
