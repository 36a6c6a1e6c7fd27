using System.Reflection;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Tensors;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Every single call into the native libraries is made to fail, one run for each.</summary>
[Collection(HostCollection.Name)]
public sealed unsafe class FailureTests(ITestOutputHelper output)
{
    [Fact]
    public void Every_failing_call_gives_one_typed_error_and_leaves_nothing_behind()
    {
        HostDriverLibrary library = HostBackends.Library(HostBackends.Normal);
        HostBackends.Forget(HostBackends.Normal);
        Run(); // compiles what the kernel cache lacks, which the other runs do not
        library.Reset();
        Outcome clean = Run();
        int calls = library.Calls(), launched = library.Calls("cuLaunchKernel");
        Assert.Equal((null, 0, ""), (clean.Error, clean.ReleaseFailures.Count, library.Live()));
        output.WriteLine($"{calls} calls");
        Assert.True(library.Calls("cuGraphInstantiate") > 0); // counted without its suffix
        Assert.All(Entries<Driver>().Concat(Entries<CublasLt>()).Except(["cuGetErrorName", "cuGraphInstantiateWithFlags"]), e =>
            Assert.True(library.Calls(e) > 0, $"{e} is never called"));

        for (int n = 1; n <= calls; n++)
        {
            library.Reset();
            library.Fail("*", n);

            Outcome outcome = Run();

            string what = $"call {n} of {calls}: {outcome.Error?.Message}{string.Join("; ", outcome.ReleaseFailures.Select(f => f.Message))}";

            // A product whose epilogue cannot be had is made without it: with a kernel more.
            bool madeUpFor = library.Calls("cuLaunchKernel") > launched;
            bool noticed = outcome.Error is not null || outcome.ReleaseFailures.Count > 0;
            Assert.True(noticed || madeUpFor, $"{what}: the failure went unnoticed");
            Assert.True(outcome.Error is null or BackendException, $"{what}: {outcome.Error}");
            Assert.True(library.Live().Length == 0, $"{what}: {library.Live()}");
            Assert.True(library.Findings().Length == 0, $"{what}: {library.Findings()}");
        }

        library.Reset();
    }

    [Fact]
    public void Every_failing_call_of_the_compiler_is_a_reason_not_to_start()
    {
        HostDriverLibrary library = HostBackends.Library(HostBackends.Normal);
        HostBackends.Forget(HostBackends.Normal);
        foreach (string entry in (string[])["nvrtcVersion", "nvrtcGetNumSupportedArchs", "nvrtcGetSupportedArchs", "nvrtcCreateProgram", "nvrtcCompileProgram",
            "nvrtcGetProgramLogSize", "nvrtcGetProgramLog", "nvrtcGetCUBINSize", "nvrtcGetCUBIN", "nvrtcDestroyProgram"])
        {
            string folder = Path.Combine(Path.GetTempPath(), $"dicache-kernels-{Guid.NewGuid():N}");
            try
            {
                library.Reset();
                library.Fail(entry, 1);
                CudaBackendOptions options = new() { Libraries = HostBackends.Libraries(HostBackends.Normal), KernelCacheFolder = folder };

                Assert.False(CudaBackend.TryCreate(options, out CudaBackend? backend, out string reason), entry);

                Assert.Null(backend);
                Assert.True(reason.Contains(entry, StringComparison.Ordinal) || entry == "nvrtcCompileProgram", $"{entry}: {reason}");
                Assert.NotEmpty(reason);
                Assert.Equal("", library.Live());
            }
            finally
            {
                if (Directory.Exists(folder))
                {
                    Directory.Delete(folder, recursive: true);
                }
            }
        }

        library.Reset();
    }

    [Fact]
    public void An_arena_that_does_not_fit_is_refused_with_what_it_needs_and_what_is_free()
    {
        HostDriverLibrary library = HostBackends.Library(HostBackends.Normal);
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, CudaPrecision.BF16);

        BackendException e = Assert.Throws<BackendException>(() => backend.CreateArena(3L << 30, "FLUX 4096x4096"));

        Assert.Matches(@"FLUX 4096x4096 needs 3\.2 GB of device memory, but only [\d.]+ GB of 1\.1 GB is free: lower the resolution", e.Message);
        Assert.Equal("CUDA_ERROR_OUT_OF_MEMORY", Assert.IsType<CudaException>(e.InnerException).Name);
        backend.Synchronize();
        Assert.Equal("", library.Findings());
    }

    // The bindings name their fields as the entry points.
    private static IEnumerable<string> Entries<T>() =>
        typeof(T).GetFields(BindingFlags.Instance | BindingFlags.Public).Select(f => f.Name);

    private static Outcome Run()
    {
        List<CudaException> releaseFailures = [];
        List<IDisposable> made = [];
        Exception? error = null;
        try
        {
            CudaBackendOptions options = new()
            {
                Libraries = HostBackends.Libraries(HostBackends.Normal),
                KernelCacheFolder = HostBackends.CacheFolder,
                OnReleaseFailure = releaseFailures.Add,
            };
            if (!CudaBackend.TryCreate(options, out CudaBackend? backend, out string reason))
            {
                return new Outcome(new BackendException(reason), releaseFailures);
            }

            made.Add(backend!);
            Work(backend!, made);
        }
        catch (Exception e)
        {
            error = e;
        }
        finally
        {
            for (int i = made.Count - 1; i >= 0; i--)
            {
                made[i].Dispose();
            }
        }

        return new Outcome(error, releaseFailures);
    }

    // A little of everything: every way into the native libraries is taken at least once.
    private static void Work(CudaBackend backend, List<IDisposable> made)
    {
        T Made<T>(T value)
            where T : IDisposable
        {
            made.Add(value);
            return value;
        }

        float[] numbers = [.. Enumerable.Range(0, 32 * 32).Select(i => (i % 17) - 8f)];
        Arena arena = Made(backend.CreateArena(1 << 20, "a test"));
        Assert.InRange(backend.Memory().Free, 1 << 20, backend.Memory().Total - (1 << 20));
        Tensor x = arena.Allocate(DType.BF16, 1, 32, 32), y = arena.Allocate(DType.BF16, 1, 32, 32), sums = arena.Allocate(DType.F32, 1, 1, ProbeSums.Count);
        LinearWeight weight;
        fixed (float* p = numbers)
        {
            HostTensor matrix = new("weight", (nint)p, DType.F32, [32, 32]), bias = new("bias", (nint)p, DType.F32, [32]);
            weight = Made(backend.CreateLinear(new LinearSource("test", [matrix], [bias])));
        }

        backend.Upload(numbers, x);
        backend.Upload(numbers.AsSpan(0, 32 * 8), x.SliceCols(8, 8));
        backend.Linear(x, weight, y, Epilogue.Silu);
        IStepPlan plan = Made(backend.Record("test", () =>
        {
            backend.Linear(x, weight, y, Epilogue.GeluTanh);
            backend.Attention(x, x, x, y, 1, 0.1f);
            backend.GatedResidual(x, y, default, x, new ResidualExtras(Probe: new ProbeInputs(default, y), ProbeSums: sums));
        }));
        plan.Run();
        backend.Measure(plan.Run);
        plan.Run();
        backend.Download(x.SliceCols(0, 8), new float[32 * 8]);
        backend.Download(sums, new float[ProbeSums.Count]);
        backend.Synchronize();
    }

    private sealed record Outcome(Exception? Error, List<CudaException> ReleaseFailures);
}
