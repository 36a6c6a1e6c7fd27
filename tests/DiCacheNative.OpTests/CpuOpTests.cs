using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.OpTests;

/// <summary>The CPU backend with 16 floats per vector.</summary>
public sealed class CpuVector512OpTests : BackendOpTests
{
    protected override IBackend Backend => TestBackends.Get(SimdLevel.Vector512);
}

/// <summary>The CPU backend with 8 floats per vector.</summary>
public sealed class CpuVector256OpTests : BackendOpTests
{
    protected override IBackend Backend => TestBackends.Get(SimdLevel.Vector256);
}

/// <summary>The CPU backend without vectors.</summary>
public sealed class CpuScalarOpTests : BackendOpTests
{
    protected override IBackend Backend => TestBackends.Get(SimdLevel.Scalar);

    protected override double FlopLimit => 4e8;
}

/// <summary>The CPU backend with matrix products by oneDNN.</summary>
public sealed class CpuOneDnnOpTests : BackendOpTests
{
    protected override IBackend Backend => TestBackends.Get(SimdLevel.Auto, GemmEngine.OneDnn);
}

/// <summary>Backends shared by the tests of this assembly; their threads live as long as the process.</summary>
internal static class TestBackends
{
    private static readonly Dictionary<CpuBackendOptions, CpuBackend> Made = [];

    /// <summary>A backend with two threads, or a skipped test where this machine has no such thing.</summary>
    internal static CpuBackend Get(SimdLevel simd = SimdLevel.Auto, GemmEngine gemm = GemmEngine.Auto, int threads = 2)
    {
        Assert.SkipUnless(SimdLevels.IsSupported(simd), $"this processor has no {simd}");
        Assert.SkipWhen(gemm == GemmEngine.OneDnn && !OneDnn.Library.IsAvailable, OneDnn.Library.Reason);
        CpuBackendOptions options = new() { Simd = simd, Gemm = gemm, Threads = threads };
        lock (Made)
        {
            if (!Made.TryGetValue(options, out CpuBackend? backend))
            {
                backend = new CpuBackend(options);
                Made.Add(options, backend);
            }

            return backend;
        }
    }
}
