using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>Task bodies of all operations for one vector width.</summary>
internal sealed unsafe class KernelTable
{
    private KernelTable()
    {
    }

    internal int Width { get; private init; }

    internal int TileRows { get; private init; }

    internal long LinearScratch { get; private init; }

    internal delegate*<void*, int, int, void> PackLinear { get; private init; }

    internal delegate*<void*, int, int, void> Linear { get; private init; }

    internal delegate*<void*, int, int, void> OneDnnF32 { get; private init; }

    internal delegate*<void*, int, int, void> OneDnnBf16 { get; private init; }

    internal delegate*<void*, int, int, void> LayerNormModulate { get; private init; }

    internal delegate*<void*, int, int, void> QkNormRope { get; private init; }

    internal delegate*<void*, int, int, void> PackAttention { get; private init; }

    internal delegate*<void*, int, int, void> Attend { get; private init; }

    internal delegate*<void*, int, int, void> GatedResidual { get; private init; }

    internal delegate*<void*, int, int, void> Elements { get; private init; }

    internal delegate*<void*, int, int, void> Activate { get; private init; }

    internal delegate*<void*, int, int, void> MeanRows { get; private init; }

    internal delegate*<void*, int, int, void> ProbeFused { get; private init; }

    internal delegate*<void*, int, int, void> ProbeSum { get; private init; }

    internal delegate*<void*, int, int, void> Blend { get; private init; }

    internal delegate*<int, float> MultiplyAddChains { get; private init; }

    /// <summary>The bodies for a vector width.</summary>
    internal static KernelTable Of<TSimd, TVector, TWide>()
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : unmanaged => new()
        {
            Width = TSimd.Width,
            TileRows = TSimd.TileRows,
            LinearScratch = LinearKernel<TSimd, TVector, TWide>.ScratchBytes,
            PackLinear = &LinearKernel<TSimd, TVector, TWide>.Pack,
            Linear = &LinearKernel<TSimd, TVector, TWide>.Run,
            OneDnnF32 = &OneDnnKernel<TSimd, TVector, TWide>.RunF32,
            OneDnnBf16 = &OneDnnKernel<TSimd, TVector, TWide>.RunBf16,
            LayerNormModulate = &NormKernels<TSimd, TVector, TWide>.LayerNormModulate,
            QkNormRope = &RopeKernels<TSimd, TVector, TWide>.QkNormRope,
            PackAttention = &AttentionKernels<TSimd, TVector, TWide>.Pack,
            Attend = &AttentionKernels<TSimd, TVector, TWide>.Attend,
            GatedResidual = &ResidualKernels<TSimd, TVector, TWide>.GatedResidual,
            Elements = &ElementKernels<TSimd, TVector, TWide>.Elements,
            Activate = &ElementKernels<TSimd, TVector, TWide>.Activate,
            MeanRows = &ElementKernels<TSimd, TVector, TWide>.MeanRows,
            ProbeFused = &ProbeKernels<TSimd, TVector, TWide>.Fused,
            ProbeSum = &ProbeKernels<TSimd, TVector, TWide>.Sum,
            MultiplyAddChains = &PeakKernels<TSimd, TVector, TWide>.MultiplyAddChains,
            Blend = &ProbeKernels<TSimd, TVector, TWide>.Blend,
        };
}
