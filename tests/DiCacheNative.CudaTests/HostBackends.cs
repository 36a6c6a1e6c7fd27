using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Tests that run on the host driver share its one device and its findings: they run one after the other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class HostCollection
{
    public const string Name = "cuda host";
}

/// <summary>CUDA backends that run on the processor, one per build of the host driver and precision, kept for all tests.</summary>
internal static class HostBackends
{
    /// <summary>The engine's kernels as they are: faults show through guard pages and margins.</summary>
    public const string Normal = "dicache_cuda_host";

    /// <summary>The engine's kernels with every access instrumented: races and uninitialised shared memory show too.</summary>
    public const string Race = "dicache_cuda_host_race";

    private static readonly Dictionary<(string, CudaPrecision), CudaBackend> Made = [];

    /// <summary>The library, reset when first asked for; the test is skipped when it was not built.</summary>
    public static HostDriverLibrary Library(string name)
    {
        HostDriverLibrary library = HostDriverLibrary.Require(name);
        lock (Made)
        {
            if (!Made.Keys.Any(k => k.Item1 == name))
            {
                library.Reset();
            }
        }

        return library;
    }

    /// <summary>The shared backend on a library.</summary>
    public static CudaBackend Get(string name, CudaPrecision precision)
    {
        Library(name);
        lock (Made)
        {
            if (!Made.TryGetValue((name, precision), out CudaBackend? backend))
            {
                backend = Create(name, precision);
                Made.Add((name, precision), backend);
            }

            return backend;
        }
    }

    /// <summary>Disposes the shared backends on a library, for a test that resets it.</summary>
    public static void Forget(string name)
    {
        lock (Made)
        {
            foreach ((string, CudaPrecision) key in Made.Keys.Where(k => k.Item1 == name).ToArray())
            {
                Made[key].Dispose();
                Made.Remove(key);
            }
        }

        // What a test left to the finalizer still holds the context; released after a reset, it would release that of the next backend.
        GC.Collect();
        GC.WaitForPendingFinalizers();
    }

    /// <summary>A backend of the test's own.</summary>
    public static CudaBackend Create(string name, CudaPrecision precision, Action<CudaException>? onReleaseFailure = null)
    {
        CudaBackendOptions options =
            new() { Libraries = Libraries(name), Precision = precision, KernelCacheFolder = CacheFolder, OnReleaseFailure = onReleaseFailure };
        Assert.True(CudaBackend.TryCreate(options, out CudaBackend? backend, out string reason), reason);
        return backend!;
    }

    /// <summary>The library as the backend binds it.</summary>
    public static CudaLibraries Libraries(string name) => CudaLibraries.Host(DiCacheNative.Tests.Repository.File(".native", "host-driver", $"lib{name}.so"));

    /// <summary>Kernels compiled for the host driver: kept apart from the user's.</summary>
    public static string CacheFolder { get; } = Path.Combine(AppContext.BaseDirectory, "kernel-cache");
}
