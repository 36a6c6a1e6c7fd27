using DiCacheNative.Backends;
using DiCacheNative.Tensors;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>A kernel that fails: it is named when that is asked for, and afterwards the device is lost to the process.</summary>
[Collection(HostCollection.Name)]
public sealed class LostDeviceTests : IDisposable
{
    private const string Sync = "DICACHE_SYNC";
    private readonly HostDriverLibrary _library = HostBackends.Library(HostBackends.Normal);
    private readonly List<CudaException> _releaseFailures = [];

    public LostDeviceTests()
    {
        HostBackends.Forget(HostBackends.Normal);
        _library.Reset();
    }

    [Theory]
    [InlineData("1", false)]
    [InlineData("true", false)]
    [InlineData("TRUE", true)]
    [InlineData("1", true)]
    public void With_a_wait_after_each_kernel_the_one_that_fails_is_named_inside_a_plan_too(string value, bool inPlan)
    {
        CudaBackend backend = Backend(value);
        (Tensor good, Tensor wild) = Tensors(backend);

        void Operations()
        {
            backend.Subtract(good, good, good);
            backend.LayerNormModulate(wild, default, good);
            backend.Activate(good, good);
        }

        using IStepPlan plan = backend.Record("three operations", Operations);
        CudaException e = Assert.Throws<CudaException>(inPlan ? plan.Run : Operations);

        Assert.True(e.ContextLost);
        Assert.StartsWith("CUDA_ERROR_ILLEGAL_ADDRESS (700): a kernel failed", e.Message, StringComparison.Ordinal);
        Assert.Contains("while running layer_norm_modulate_f32;", e.Message, StringComparison.Ordinal);
        Assert.Equal(0, _library.Calls("cuStreamBeginCapture"));
        backend.Dispose();
    }

    [Fact]
    public void With_a_wait_after_each_kernel_a_plan_stays_a_sequence_of_operations()
    {
        using CudaBackend backend = Backend("1");
        (Tensor x, _) = Tensors(backend);
        using IStepPlan plan = backend.Record("one operation", () => backend.Subtract(x, x, x));

        for (int i = 0; i < 3; i++)
        {
            plan.Run();
        }

        Assert.Equal(0, _library.Calls("cuStreamBeginCapture") + _library.Calls("cuGraphLaunch"));
    }

    [Theory]
    [InlineData("yes")]
    [InlineData("2")]
    public void A_switch_that_is_neither_on_nor_off_is_refused(string value)
    {
        Environment.SetEnvironmentVariable(Sync, value);

        Assert.False(CudaBackend.TryCreate(Options(), out _, out string reason));

        Assert.Equal($"the environment variable DICACHE_SYNC is '{value}': it takes 1 or true, 0 or false", reason);
    }

    [Fact]
    public void After_a_kernel_failed_everything_is_refused_in_the_words_of_its_failure()
    {
        CudaBackend backend = Backend("0");
        (Tensor good, Tensor wild) = Tensors(backend);
        IStepPlan plan = backend.Record("two operations", () => backend.Subtract(good, good, good));
        plan.Run();
        plan.Run();
        backend.Subtract(wild, good, good);

        CudaException first = Assert.Throws<CudaException>(() => backend.Download(good, new float[good.Count]));
        Assert.Contains("a kernel failed, which was noticed in", first.Message, StringComparison.Ordinal);
        Assert.Contains("the device is lost to this process, which has to be started again", first.Message, StringComparison.Ordinal);
        Action[] all =
        [
            backend.Synchronize,
            plan.Run,
            () => backend.CreateArena(64, "a test"),
            () => backend.Upload(new float[good.Count], good),
            () => backend.Activate(good, good),
        ];
        foreach (Action later in all)
        {
            CudaException e = Assert.Throws<CudaException>(later);
            Assert.Equal((first.Message, true, 700), (e.Message, e.ContextLost, e.Code));
        }

        Assert.False(CudaBackend.TryCreate(Options(), out _, out string reason));
        Assert.Contains("CUDA_ERROR_ILLEGAL_ADDRESS (700): a kernel failed", reason, StringComparison.Ordinal);

        plan.Dispose();
        backend.Dispose();
        Assert.Single(_releaseFailures); // streams, events, memory, modules: none can be released
        Assert.True(_releaseFailures[0].ContextLost);
    }

    [Fact]
    public void A_product_issued_after_a_kernel_failed_tells_of_the_kernel_and_not_of_cuBLASLt()
    {
        using CudaBackend backend = Backend("0"), other = Backend("0");
        (Tensor good, Tensor wild) = Tensors(backend);
        using LinearWeight weight = Weight(backend);
        backend.Subtract(wild, good, good);

        // Freeing memory waits for all that was issued; the backend itself has noticed nothing yet.
        other.CreateArena(64, "a test").Dispose();
        CudaException e = Assert.Throws<CudaException>(() => backend.Linear(good, weight, good with { Data = good.Data + 256 }));

        Assert.True(e.ContextLost, e.Message);
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(Sync, null);
        HostBackends.Forget(HostBackends.Normal);
        _library.Reset();
    }

    private static CudaBackendOptions Options() =>
        new() { Libraries = HostBackends.Libraries(HostBackends.Normal), KernelCacheFolder = HostBackends.CacheFolder };

    private static (Tensor Good, Tensor Wild) Tensors(CudaBackend backend)
    {
        Arena arena = backend.CreateArena(1 << 16, "a test");
        Tensor good = arena.Allocate(DType.F32, 1, 4, 8);
        backend.Upload(new float[32], good);
        backend.Synchronize();
        return (good, good with { Data = good.Data + (1 << 24) });
    }

    private static unsafe LinearWeight Weight(CudaBackend backend)
    {
        float[] ones = new float[64];
        fixed (float* p = ones)
        {
            return backend.CreateLinear(new LinearSource("ones", [new HostTensor("ones", (nint)p, DType.F32, [8, 8])], []));
        }
    }

    private CudaBackend Backend(string sync)
    {
        Environment.SetEnvironmentVariable(Sync, sync);
        return HostBackends.Create(HostBackends.Normal, CudaPrecision.F32, _releaseFailures.Add);
    }
}
