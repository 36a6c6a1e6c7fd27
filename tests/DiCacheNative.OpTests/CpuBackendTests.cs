using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests;

public sealed class CpuBackendTests
{
    [Fact]
    public void Says_what_it_computes_with_and_why()
    {
        using CpuBackend managed = new(new CpuBackendOptions { Threads = 3, Simd = SimdLevel.Scalar, Gemm = GemmEngine.Managed });
        Assert.Equal("cpu", managed.Name);
        Assert.StartsWith("CPU, no vectors, 3 threads, f32 matrix products by managed kernels", managed.Description, StringComparison.Ordinal);
        Assert.Contains("oneDNN", managed.Description, StringComparison.Ordinal);
        Assert.Equal(DType.F32, managed.ActivationType);
    }

    [Fact]
    public void An_arena_is_zero_filled_and_aligned()
    {
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 1 });
        using Arena arena = backend.CreateArena(5 << 20, "a test");
        Tensor t = arena.Allocate(DType.F32, 1, 1024, 1024);
        float[] values = new float[t.Count];
        Array.Fill(values, 1);
        backend.Download(t, values);
        Assert.Equal(0, t.Data % Arena.Alignment);
        Assert.All(values.Chunk(4096), chunk => Assert.Equal(0, chunk.Sum(MathF.Abs)));
    }

    [Fact]
    public void An_arena_too_large_names_its_purpose_and_both_sizes()
    {
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 1 });
        BackendException error = Assert.Throws<BackendException>(() => backend.CreateArena(1L << 50, "FLUX 65536x65536"));
        Assert.Contains("FLUX 65536x65536", error.Message, StringComparison.Ordinal);
        Assert.Contains((1L << 50).ToString("N0", System.Globalization.CultureInfo.CurrentCulture), error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DType.F32, 0)]
    [InlineData(DType.BF16, 8e-3)]
    [InlineData(DType.F16, 1e-3)]
    public void Values_come_back_from_strided_tensors_of_each_type(DType type, double tolerance)
    {
        CpuBackend backend = TestBackends.Get();
        using Arena arena = backend.CreateArena(1 << 16, "a test");
        Tensor view = arena.Allocate(type, 2, 9, 40).SliceRows(2, 5).SliceCols(3, 33);
        float[] values = [.. Enumerable.Range(0, (int)view.Count).Select(i => MathF.Sin(i))], back = new float[view.Count];
        backend.Upload(values, view);
        backend.Download(view, back);
        for (int i = 0; i < values.Length; i++)
        {
            Assert.Equal(values[i], back[i], tolerance);
        }

        Assert.Throws<ShapeException>(() => backend.Upload(new float[3], view));
        Assert.Throws<ShapeException>(() => backend.Download(view, new float[view.Count + 1]));
    }

    [Fact]
    public void A_plan_runs_its_operations_each_time_and_not_when_recorded()
    {
        CpuBackend backend = TestBackends.Get();
        using CaseSetup s = new(backend);
        TestTensor x = s.InOut(1, 3, 5), v = s.Input(1, 3, 5), dt = s.Scalars(1);
        using IStepPlan plan = backend.Record("step", () => backend.EulerStep(x.Tensor, v.Tensor, dt.Tensor));
        Assert.Equal("step", plan.Name);
        float[] values = new float[15];
        backend.Download(x.Tensor, values);
        Assert.Equal(x.Values[4], values[4]);
        plan.Run();
        plan.Run();
        backend.Download(x.Tensor, values);
        Assert.Equal(x.Values[4] + (2 * v.Values[4]), values[4], 1e-5);
    }

    [Fact]
    public void Disposing_twice_is_fine_and_using_it_after_is_not()
    {
        CpuBackend backend = new(new CpuBackendOptions { Threads = 2 });
        using CaseSetup s = new(backend);
        TestTensor x = s.Input(1, 2, 3), y = s.Output(1, 2, 3);
        TestWeight w = s.Weight(3, 3);
        backend.Dispose();
        backend.Dispose();
        Assert.Throws<ObjectDisposedException>(() => backend.Linear(x.Tensor, w.Weight, y.Tensor));
        w.Weight.Dispose();
        Assert.Throws<ObjectDisposedException>(() => TestBackends.Get().Linear(x.Tensor, w.Weight, y.Tensor));
    }

    [Fact]
    public void A_weight_of_another_backend_is_refused()
    {
        using CaseSetup s = new(TestBackends.Get(SimdLevel.Scalar, GemmEngine.Managed));
        TestTensor x = s.Input(1, 2, 3), y = s.Output(1, 2, 3);
        TestWeight w = s.Weight(3, 3);
        Assert.Throws<ArgumentException>(() => TestBackends.Get(SimdLevel.Vector256, GemmEngine.Managed).Linear(x.Tensor, w.Weight, y.Tensor));
        using LinearWeight foreign = new ForeignWeight();
        Assert.Throws<ArgumentException>(() => TestBackends.Get().Linear(x.Tensor, foreign, y.Tensor));
    }

    [Fact]
    public void Matrix_products_in_bf16_are_close_and_need_oneDNN()
    {
        Assert.Throws<BackendException>(() => new CpuBackend(new CpuBackendOptions { Precision = CpuPrecision.Bf16, Gemm = GemmEngine.Managed }));
        Assert.SkipUnless(OneDnn.Library.HasBf16, OneDnn.Library.Reason);
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 2, Precision = CpuPrecision.Bf16 });
        using CaseSetup s = new(backend);
        TestTensor x = s.Input(1, 70, 130), y = s.Output(1, 70, 90);
        TestWeight w = s.Weight(90, 130);
        backend.Linear(x.Tensor, w.Weight, y.Tensor, Epilogue.GeluTanh);
        float[] values = new float[70 * 90];
        backend.Download(y.Tensor, values);
        double error = 0, norm = 0;
        for (int r = 0; r < 70; r++)
        {
            double[] reference = Reference.Linear(x, w, Epilogue.GeluTanh, 0, r);
            for (int i = 0; i < 90; i++)
            {
                error += Math.Pow(values[(r * 90) + i] - reference[i], 2);
                norm += reference[i] * reference[i];
            }
        }

        Assert.InRange(error / norm, 1e-12, 1e-4);
        Assert.True(w.Weight.Bytes < 90 * 130 * 3);
    }

    [Fact]
    public void The_measured_peaks_are_those_of_a_processor()
    {
        Assert.InRange(CpuPeak.MeasureGflops(SimdLevel.Auto, threads: 1, milliseconds: 20), 0.05, 2000);
        Assert.InRange(CpuPeak.MeasureGflops(SimdLevel.Scalar, threads: 2, milliseconds: 20), 0.05, 200);
        Assert.InRange(CpuPeak.MeasureBandwidth(threads: 2, milliseconds: 20), 0.02, 2000);
    }

    private sealed class ForeignWeight() : LinearWeight("w", 3, 3)
    {
        public override long Bytes => 0;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
