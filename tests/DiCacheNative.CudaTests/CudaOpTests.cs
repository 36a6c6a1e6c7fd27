using DiCacheNative.Backends;
using DiCacheNative.OpTests;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Every operation on the GPU, where there is one.</summary>
public abstract class CudaOpTests(CudaPrecision precision) : BackendOpTests
{
    private static readonly Dictionary<CudaPrecision, (CudaBackend? Backend, string Reason)> Made = [];

    protected override double FlopLimit => 1e12;

    protected override IBackend Backend
    {
        get
        {
            lock (Made)
            {
                if (!Made.TryGetValue(precision, out (CudaBackend? Backend, string Reason) found))
                {
                    CudaBackend.TryCreate(new CudaBackendOptions { Precision = precision }, out found.Backend, out found.Reason);
                    Made.Add(precision, found);
                }

                Assert.SkipWhen(found.Backend is null, found.Reason);
                return found.Backend!;
            }
        }
    }
}

/// <summary>BF16 storage.</summary>
public sealed class CudaBf16OpTests() : CudaOpTests(CudaPrecision.BF16);

/// <summary>F32 throughout.</summary>
public sealed class CudaF32OpTests() : CudaOpTests(CudaPrecision.F32);
