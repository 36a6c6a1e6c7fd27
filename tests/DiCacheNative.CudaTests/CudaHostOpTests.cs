using DiCacheNative.Backends;
using DiCacheNative.OpTests;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Every operation of the CUDA backend on the host driver, and nothing found by its checks.</summary>
public abstract class CudaHostOpTests : BackendOpTests, IDisposable
{
    private readonly HostDriverLibrary _library;
    private readonly CudaBackend _backend;

    protected CudaHostOpTests(string library, CudaPrecision precision, long seed)
    {
        _library = HostBackends.Library(library);
        _backend = HostBackends.Get(library, precision);
        _library.Option("seed", seed);
    }

    protected override IBackend Backend => _backend;

    // The processor imitates each CUDA thread.
    protected override double FlopLimit => 4e8;

    public void Dispose()
    {
        _backend.Synchronize();
        Assert.Equal("", _library.Findings());
        GC.SuppressFinalize(this);
    }
}

/// <summary>F32 throughout.</summary>
[Collection(HostCollection.Name)]
public sealed class CudaHostF32OpTests() : CudaHostOpTests(HostBackends.Normal, CudaPrecision.F32, seed: 0);

/// <summary>BF16 storage, threads in shuffled order.</summary>
[Collection(HostCollection.Name)]
public sealed class CudaHostBf16OpTests() : CudaHostOpTests(HostBackends.Normal, CudaPrecision.BF16, seed: 11);

/// <summary>BF16 storage, every access watched.</summary>
[Collection(HostCollection.Name)]
public sealed class CudaHostRaceOpTests() : CudaHostOpTests(HostBackends.Race, CudaPrecision.BF16, seed: 5)
{
    protected override double FlopLimit => 3e7;
}
