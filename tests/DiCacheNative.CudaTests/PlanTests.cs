using DiCacheNative.Backends;
using DiCacheNative.Tensors;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Recorded plans, threads and lifetimes, on the host driver.</summary>
[Collection(HostCollection.Name)]
public sealed class PlanTests : IDisposable
{
    private readonly HostDriverLibrary _library = HostBackends.Library(HostBackends.Normal);
    private readonly CudaBackend _backend = HostBackends.Get(HostBackends.Normal, CudaPrecision.F32);
    private readonly Arena _arena;

    public PlanTests()
    {
        _arena = _backend.CreateArena(1 << 20, "a test");
    }

    [Fact]
    public void Recording_runs_nothing_and_each_run_issued_captured_or_launched_reads_what_is_there_then()
    {
        Tensor x = Filled(1), velocity = Filled(10), dt = Scalar(0.5f);

        using IStepPlan plan = _backend.Record("euler", () => _backend.EulerStep(x, velocity, dt));

        Assert.Equal("euler", plan.Name);
        Assert.Equal(1, First(x));
        plan.Run();
        Assert.Equal(6, First(x));
        _backend.Upload([2f], dt);
        plan.Run();
        Assert.Equal(26, First(x));
        _backend.Upload([3f], dt);
        plan.Run();
        Assert.Equal(56, First(x));
    }

    [Fact]
    public void A_plan_is_captured_at_its_second_run_and_not_when_it_runs_once()
    {
        Tensor x = Filled(1), velocity = Filled(10), dt = Scalar(0.5f);
        using IStepPlan plan = _backend.Record("euler", () => _backend.EulerStep(x, velocity, dt));
        (int Captures, int Kernels, int Graphs) Calls() =>
            (_library.Calls("cuStreamBeginCapture"), _library.Calls("cuLaunchKernel"), _library.Calls("cuGraphLaunch"));

        (int captures, int kernels, int graphs) = Calls();
        plan.Run();
        Assert.Equal((captures, kernels + 1, graphs), Calls());
        plan.Run();
        plan.Run();
        Assert.Equal((captures + 1, kernels + 2, graphs + 2), Calls());
        Assert.Equal(16, First(x));
    }

    [Fact]
    public void Algorithms_of_products_and_memory_for_them_are_found_before_the_capture()
    {
        // The host driver refuses both while a stream captures: an activation that cuBLASLt has not, an F32 result of it, and sums split in
        // a workspace.
        Tensor x = Filled(2, rows: 8, cols: 64), y = Filled(0, rows: 8, cols: 8), wide = Filled(0, rows: 8, cols: 2048);
        using LinearWeight narrow = Weight(_backend, 8, 64), broad = Weight(_backend, 2048, 64);
        using IStepPlan plan = _backend.Record("products", () =>
        {
            _backend.Linear(x, narrow, y, Epilogue.Silu);
            _backend.Linear(x, broad, wide, Epilogue.GeluTanh);
        });
        plan.Run();
        float first = First(y);
        int asked = _library.Calls("cublasLtMatmulAlgoGetHeuristic"), allocated = _library.Calls("cuMemAlloc");
        plan.Run();
        plan.Run();

        Assert.Equal((asked, allocated), (_library.Calls("cublasLtMatmulAlgoGetHeuristic"), _library.Calls("cuMemAlloc")));
        Assert.Equal(128f, first, 1e-3f);
        Assert.Equal(first, First(y));
        Assert.Equal(128f, First(wide), 1e-3f);
    }

    [Fact]
    public void Threads_that_capture_and_threads_that_ask_for_new_products_do_not_disturb_each_other()
    {
        float[][] results = new float[3][];

        float[] Products(int thread) => [.. Enumerable.Range(0, 12).Select(k => Product(8 + (8 * ((thread * 12) + k))))];

        Thread[] threads = [.. Enumerable.Range(0, results.Length).Select(i => new Thread(() => results[i] = Products(i)))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.All(results.SelectMany(r => r), v => Assert.Equal(1f, v));
    }

    [Theory]
    [InlineData(1, 8)]
    [InlineData(8, 1)]
    [InlineData(1, 1)]
    public void Where_cuBLASLt_has_no_product_with_a_bias_the_bias_is_added_after_it(int outFeatures, int inFeatures)
    {
        foreach (Epilogue epilogue in (Epilogue[])[Epilogue.None, Epilogue.GeluTanh])
        {
            Tensor x = Filled(2, rows: 4, cols: inFeatures), y = Filled(0, rows: 4, cols: outFeatures);
            using LinearWeight weight = Weight(_backend, outFeatures, inFeatures, bias: true);

            _backend.Linear(x, weight, y, epilogue);

            float sum = (2 * inFeatures) + 1, gelu = 0.5f * sum * (1 + MathF.Tanh(0.79788456f * (sum + (0.044715f * sum * sum * sum))));
            Assert.All(Values(y), v => Assert.Equal(epilogue == Epilogue.None ? sum : gelu, v, 1e-5f));
        }
    }

    [Fact]
    public void A_product_whose_epilogue_fails_only_when_it_runs_is_made_without_it()
    {
        Tensor x = Filled(2, rows: 4, cols: 24), y = Filled(0, rows: 4, cols: 40);
        using LinearWeight weight = Weight(_backend, 40, 24, bias: true);
        _library.Option("refuse_fused", 1);

        _backend.Linear(x, weight, y);
        _library.Option("refuse_fused", 0);
        _backend.Linear(x, weight, y);

        Assert.All(Values(y), v => Assert.Equal(49f, v));
    }

    [Fact]
    public void A_plan_has_scratch_memory_of_its_own()
    {
        Tensor p = Filled(3), previous = Filled(1), sums = _arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), wide = Filled(5, rows: 64);

        using IStepPlan plan = _backend.Record("probe", () => _backend.ProbeL1(new ProbeInputs(p, previous), sums));
        plan.Run();
        _backend.ProbeL1(new ProbeInputs(wide, wide), _arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), ProbeForm.Unfused);
        plan.Run();

        float[] values = new float[ProbeSums.Count];
        _backend.Download(sums, values);
        Assert.Equal([2f * p.Count, p.Count, 0, 0, 0, 0], values);
    }

    [Fact]
    public void A_plan_keeps_the_weights_it_multiplies_with()
    {
        Tensor x = Filled(2, rows: 1, cols: 8), y = Filled(0, rows: 1, cols: 8);
        IStepPlan plan = RecordWithForgottenWeight(x, y);

        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        plan.Run();
        Assert.Equal(16, First(y));
        plan.Dispose();
    }

    [Fact]
    public void What_waits_or_copies_cannot_be_recorded_and_spoils_nothing()
    {
        Tensor x = Filled(1), velocity = Filled(1), dt = Scalar(1);

        Assert.Throws<InvalidOperationException>(() => RunOnce(() => _backend.Upload([2f], dt)));
        Assert.Throws<InvalidOperationException>(() => RunOnce(() => First(x)));
        Assert.Throws<InvalidOperationException>(() => RunOnce(_backend.Synchronize));
        Assert.Throws<InvalidOperationException>(() => RunOnce(() => _backend.CreateArena(1, "a test")));
        Assert.Throws<InvalidOperationException>(() => RunOnce(() => _backend.Record("inner", () => { })));
        Assert.Throws<ShapeException>(() => RunOnce(() => _backend.EulerStep(x, velocity.SliceRows(0, 1), dt)));

        _backend.EulerStep(x, velocity, dt);
        Assert.Equal(2, First(x));
    }

    [Fact]
    public void A_capture_that_fails_leaves_plan_and_stream_usable()
    {
        Tensor x = Filled(1), velocity = Filled(1), dt = Scalar(1);
        int runs = 0;
        using IStepPlan plan = _backend.Record("euler", () =>
        {
            _backend.EulerStep(x, velocity, dt);
            if (++runs == 2)
            {
                throw new OperationCanceledException();
            }
        });

        plan.Run();
        Assert.Throws<OperationCanceledException>(plan.Run);
        Assert.Equal(2, First(x));
        plan.Run();
        Assert.Equal(3, First(x));
    }

    [Fact]
    public void Threads_work_side_by_side_with_the_results_of_one_alone()
    {
        float[][] results = new float[4][];

        Thread[] threads = [.. Enumerable.Range(0, results.Length).Select(i => new Thread(() => results[i] = Chain(seed: i % 2)))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());

        Assert.Equal(Chain(seed: 0), results[0]);
        Assert.Equal(Chain(seed: 1), results[1]);
        Assert.Equal(results[0], results[2]);
        Assert.Equal(results[1], results[3]);
    }

    [Fact]
    public void Streams_of_threads_that_have_ended_are_used_again()
    {
        RunOnThread(() => Chain(0));
        int streams = _library.Calls("cuStreamCreate");

        for (int i = 0; i < 8; i++)
        {
            RunOnThread(() => Chain(i));
        }

        Assert.InRange(_library.Calls("cuStreamCreate") - streams, 0, 1);
    }

    [Fact]
    public void The_three_forms_of_the_probe_give_the_same_bits()
    {
        Random random = new(5);
        Tensor[] t = [.. Enumerable.Range(0, 6).Select(_ => RandomTensor(random, 37, 100))];
        ProbeInputs inputs = new(t[0], t[1], t[2], t[3], t[4], t[5]);
        List<float[]> sums = [], blends = [];
        foreach (ProbeForm form in Enum.GetValues<ProbeForm>())
        {
            Tensor s = _arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), into = _arena.Allocate(DType.F32, 1, 37, 100);
            _backend.ProbeL1(inputs, s, form);
            _backend.TrajectoryBlend(new BlendInputs(t[0], t[1], t[2], Scalar(1.3f)), into, form);
            sums.Add(Values(s));
            blends.Add(Values(into));
        }

        Tensor riding = _arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), sum = _arena.Allocate(DType.F32, 1, 37, 100), zero = Filled(0, 37, 100);
        _backend.GatedResidual(t[0], zero, default, sum, new ResidualExtras(Probe: inputs with { Probe = default }, ProbeSums: riding));
        sums.Add(Values(riding));

        Assert.All(sums, s => Assert.Equal(sums[0], s));
        Assert.All(blends, b => Assert.Equal(blends[0], b));
        Assert.All(sums[0], s => Assert.True(s > 0));
    }

    [Fact]
    public void What_the_kernels_cannot_do_is_said_before_they_run()
    {
        Tensor wide = _arena.Allocate(DType.F32, 1, 1, 8200);
        Assert.Contains("8192", Assert.Throws<ShapeException>(() => _backend.LayerNormModulate(wide, default, wide)).Message, StringComparison.Ordinal);

        using CudaBackend half = HostBackends.Create(HostBackends.Normal, CudaPrecision.BF16);
        using Arena arena = half.CreateArena(1 << 16, "a test");
        Tensor a = arena.Allocate(DType.BF16, 1, 4, 8), b = arena.Allocate(DType.F32, 1, 4, 8);
        Assert.Contains("does not mix", Assert.Throws<ShapeException>(() => half.Subtract(a, b, a)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => half.Attention(a, a, a, arena.Allocate(DType.BF16, 1, 4, 8), 1, scale: 0));
    }

    [Fact]
    public void A_backend_is_disposed_of_twice_and_says_so_when_used_after()
    {
        CudaBackend backend = HostBackends.Create(HostBackends.Normal, CudaPrecision.BF16);
        Arena arena = backend.CreateArena(1024, "a test");
        IStepPlan plan = backend.Record("nothing", () => { });

        backend.Dispose();
        backend.Dispose();

        Assert.Throws<ObjectDisposedException>(backend.Synchronize);
        Assert.Throws<ObjectDisposedException>(plan.Run);
        plan.Dispose();
        plan.Dispose();
        arena.Dispose();
        arena.Dispose();
    }

    [Fact]
    public void A_weight_of_another_backend_is_refused()
    {
        using CudaBackend other = HostBackends.Create(HostBackends.Normal, CudaPrecision.F32);
        using LinearWeight weight = Weight(other);
        Tensor x = Filled(2, rows: 1, cols: 8), y = Filled(0, rows: 1, cols: 8);

        Assert.Throws<ArgumentException>(() => _backend.Linear(x, weight, y));
    }

    [Fact]
    public void Time_on_the_device_is_measured()
    {
        Tensor x = Filled(1, rows: 64), velocity = Filled(1, rows: 64), dt = Scalar(1);

        Assert.InRange(_backend.Measure(() => _backend.EulerStep(x, velocity, dt)), 0, 10_000);
    }

    public void Dispose()
    {
        _backend.Synchronize();
        _arena.Dispose();
        Assert.Equal("", _library.Findings());
    }

    private void RunOnce(Action operations)
    {
        using IStepPlan plan = _backend.Record("test", operations);
        plan.Run();
    }

    // A product of a shape that no one else asks for, issued, captured and launched.
    private float Product(int outFeatures)
    {
        using Arena arena = _backend.CreateArena(1 << 16, "a thread");
        using LinearWeight weight = Weight(_backend, outFeatures, 24, bias: true);
        Tensor x = arena.Allocate(DType.F32, 1, 2, 24), y = arena.Allocate(DType.F32, 1, 2, outFeatures);
        _backend.Upload(new float[48], x);
        using IStepPlan plan = _backend.Record("product", () => _backend.Linear(x, weight, y));
        for (int i = 0; i < 3; i++)
        {
            plan.Run();
        }

        return Values(y)[^1];
    }

    private static void RunOnThread(Action action)
    {
        Thread thread = new(() => action());
        thread.Start();
        thread.Join();
    }

    // All ones.
    private static unsafe LinearWeight Weight(CudaBackend backend, int outFeatures = 8, int inFeatures = 8, bool bias = false)
    {
        float[] ones = [.. Enumerable.Repeat(1f, outFeatures * inFeatures)];
        fixed (float* p = ones)
        {
            HostTensor matrix = new("ones", (nint)p, DType.F32, [outFeatures, inFeatures]);
            HostTensor vector = new("bias", (nint)p, DType.F32, [outFeatures]);
            return backend.CreateLinear(new LinearSource("ones", [matrix], bias ? [vector] : []));
        }
    }

    private IStepPlan RecordWithForgottenWeight(Tensor x, Tensor y)
    {
        LinearWeight weight = Weight(_backend);
        return _backend.Record("linear", () => _backend.Linear(x, weight, y));
    }

    // A few operations that depend on each other, in an arena of their own.
    private float[] Chain(int seed)
    {
        using Arena arena = _backend.CreateArena(1 << 18, "a thread");
        using LinearWeight weight = Weight(_backend);
        Random random = new(seed);
        Tensor x = arena.Allocate(DType.F32, 1, 40, 8), y = arena.Allocate(DType.F32, 1, 40, 8);
        _backend.Upload([.. Enumerable.Range(0, 320).Select(_ => random.NextSingle())], x);
        using IStepPlan plan = _backend.Record("chain", () =>
        {
            _backend.Linear(x, weight, y, Epilogue.Silu);
            _backend.LayerNormModulate(y, default, y);
            _backend.Attention(y, y, y, x, 2, 0.5f);
        });
        for (int i = 0; i < 5; i++)
        {
            plan.Run();
        }

        float[] values = new float[320];
        _backend.Download(x, values);
        return values;
    }

    private Tensor Filled(float value, int rows = 4, int cols = 8)
    {
        Tensor t = _arena.Allocate(DType.F32, 1, rows, cols);
        _backend.Upload([.. Enumerable.Repeat(value, rows * cols)], t);
        return t;
    }

    private Tensor RandomTensor(Random random, int rows, int cols)
    {
        Tensor t = _arena.Allocate(DType.F32, 1, rows, cols);
        _backend.Upload([.. Enumerable.Range(0, rows * cols).Select(_ => random.NextSingle() - 0.5f)], t);
        return t;
    }

    private Tensor Scalar(float value) => Filled(value, 1, 1);

    private float First(Tensor t) => Values(t)[0];

    private float[] Values(Tensor t)
    {
        float[] values = new float[t.Count];
        _backend.Download(t, values);
        return values;
    }
}
