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
        Assert.Equal(nameof(CpuBackend), Assert.Throws<ObjectDisposedException>(() => backend.Linear(x.Tensor, w.Weight, y.Tensor)).ObjectName);
        Assert.Equal(nameof(CpuBackend), Assert.Throws<ObjectDisposedException>(() => backend.CreateArena(1, "a test")).ObjectName);
        Assert.Equal(nameof(CpuBackend), Assert.Throws<ObjectDisposedException>(() => s.Weight(3, 3)).ObjectName);
        Assert.Equal(nameof(CpuBackend), Assert.Throws<ObjectDisposedException>(() => backend.Download(x.Tensor, new float[6])).ObjectName);
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

    [Theory]
    [InlineData(SimdLevel.Auto, GemmEngine.Auto)]
    [InlineData(SimdLevel.Auto, GemmEngine.Managed)]
    [InlineData(SimdLevel.Scalar, GemmEngine.Managed)]
    [InlineData(SimdLevel.Auto, GemmEngine.OneDnn)]
    public void Matrix_products_in_bf16_are_those_of_rounded_numbers(SimdLevel simd, GemmEngine engine)
    {
        Assert.SkipWhen(engine == GemmEngine.OneDnn && !OneDnn.Library.HasBf16, OneDnn.Library.Reason);
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 2, Simd = simd, Gemm = engine, Precision = CpuPrecision.Bf16 });

        // One, few and many rows, and few and many columns: inputs are packed by the tasks or once for all.
        foreach ((int rows, int cols, int inner) in new[] { (1, 90, 130), (70, 90, 130), (9, 3100, 520), (300, 1700, 520) })
        {
            using CaseSetup s = new(backend);
            TestTensor x = s.Input(1, rows, inner), y = s.Output(1, rows, cols);
            TestWeight w = s.Weight(cols, inner);
            backend.Linear(x.Tensor, w.Weight, y.Tensor);
            float[] values = new float[rows * cols], inputs = new float[rows * inner];
            backend.Download(y.Tensor, values);
            backend.Download(x.Tensor, inputs);
            Assert.True(w.Weight.Bytes < cols * (inner + 4L) * 3, "two bytes per weight, and the padding of its panels");

            // The same product of the rounded numbers in binary32, by a backend that rounds nothing.
            using CpuBackend exact = new(new CpuBackendOptions { Threads = 2, Simd = simd, Gemm = GemmEngine.Managed });
            using CaseSetup t = new(exact);
            TestTensor rounded = t.Input(1, rows, inner), expected = t.Output(1, rows, cols);
            exact.Upload([.. inputs.Select(Rounded)], rounded.Tensor);
            using LinearWeight weight = RoundedWeight(exact, w);
            exact.Linear(rounded.Tensor, weight, expected.Tensor);
            float[] wanted = new float[values.Length];
            exact.Download(expected.Tensor, wanted);
            for (int i = 0; i < wanted.Length; i++)
            {
                Assert.True(MathF.Abs(values[i] - wanted[i]) <= 2e-5f * (1 + MathF.Abs(wanted[i])),
                    $"{rows} x {cols} x {inner}, element {i}: {values[i]} instead of {wanted[i]}");
            }
        }
    }

    [Fact]
    public void Products_in_bf16_do_not_depend_on_the_number_of_threads()
    {
        float[] Product(int threads)
        {
            using CpuBackend backend = new(new CpuBackendOptions { Threads = threads, Precision = CpuPrecision.Bf16 });
            using CaseSetup s = new(backend);
            TestTensor x = s.Input(1, 70, 130), y = s.Output(1, 70, 900);
            TestWeight w = s.Weight(900, 130);
            backend.Linear(x.Tensor, w.Weight, y.Tensor, Epilogue.GeluTanh);
            float[] values = new float[70 * 900];
            backend.Download(y.Tensor, values);
            return values;
        }

        float[] one = Product(1);
        Assert.Equal(one, Product(2));
        Assert.Equal(one, Product(5));
    }

    [Theory]
    [InlineData(CpuPrecision.F32)]
    [InlineData(CpuPrecision.Bf16)]
    public void Backends_on_oneDNN_that_multiply_at_the_same_time_give_the_bits_of_one_alone(CpuPrecision precision)
    {
        Assert.SkipUnless(precision == CpuPrecision.F32 ? OneDnn.Library.IsAvailable : OneDnn.Library.HasBf16, OneDnn.Library.Reason);
        float[][] Products(int count)
        {
            float[][] results = new float[count][];
            Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = count }, i =>
            {
                using CpuBackend backend = new(new CpuBackendOptions { Threads = 1 + (i % 3), Gemm = GemmEngine.OneDnn, Precision = precision });
                using CaseSetup s = new(backend);
                TestTensor x = s.Input(1, 70, 130), y = s.Output(1, 70, 900);
                TestWeight w = s.Weight(900, 130);
                for (int round = 0; round < 20; round++)
                {
                    backend.Linear(x.Tensor, w.Weight, y.Tensor);
                }

                results[i] = new float[70 * 900];
                backend.Download(y.Tensor, results[i]);
            });
            return results;
        }

        float[] alone = Products(1)[0];
        Assert.All(Products(4), result => Assert.Equal(alone, result));
    }

    [Fact]
    public void Auto_takes_bf16_only_for_weights_that_are_stored_so_and_where_it_is_faster()
    {
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 2, Precision = CpuPrecision.Auto }), f32 = new(new CpuBackendOptions { Threads = 2 });
        bool faster = OneDnn.Library.HasBf16 && OneDnn.ProcessorHasBf16;
        Assert.Contains(faster ? "bf16 matrix products by oneDNN" : "f32 matrix products", backend.Description, StringComparison.Ordinal);
        foreach (DType type in new[] { DType.F32, DType.BF16 })
        {
            float[][] results = [.. new[] { backend, f32 }.Select(b =>
            {
                using CaseSetup s = new(b);
                TestTensor x = s.Input(1, 70, 130), y = s.Output(1, 70, 90);
                TestWeight w = s.Weight(90, 130, type);
                b.Linear(x.Tensor, w.Weight, y.Tensor);
                float[] values = new float[70 * 90];
                b.Download(y.Tensor, values);
                return values;
            })];
            Assert.Equal(type == DType.F32 || !faster, results[0].AsSpan().SequenceEqual(results[1]));
        }
    }

    [Fact]
    public void The_library_is_taken_from_where_it_is_named_or_from_the_programs_folder_and_never_from_the_current_one()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "onednn");
        OneDnn relative = new("onednn/libdnnl.so.2", folder);
        Assert.False(relative.IsAvailable);
        Assert.Contains("takes a full path", relative.Reason, StringComparison.Ordinal);
        OneDnn nowhere = new(Path.Combine(AppContext.BaseDirectory, "nowhere", "libdnnl.so.2"), folder);
        Assert.False(nowhere.IsAvailable);
        Assert.Contains("DICACHE_ONEDNN", nowhere.Reason, StringComparison.Ordinal);
        Assert.SkipUnless(File.Exists(Path.Combine(folder, "libdnnl.so.2")), "the build had no oneDNN to put beside this program");
        Assert.StartsWith("oneDNN ", OneDnn.Library.Name, StringComparison.Ordinal);
        Assert.Contains(folder, OneDnn.Library.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void The_measured_peaks_are_those_of_a_processor()
    {
        Assert.InRange(CpuPeak.MeasureGflops(SimdLevel.Auto, threads: 1, milliseconds: 20), 0.05, 2000);
        Assert.InRange(CpuPeak.MeasureGflops(SimdLevel.Scalar, threads: 2, milliseconds: 20), 0.05, 200);
        Assert.InRange(CpuPeak.MeasureBandwidth(threads: 2, milliseconds: 20), 0.02, 2000);
    }

    private static float Rounded(float value) => BitConverter.UInt32BitsToSingle((uint)Bf16Rows.Round(value) << 16);

    private static unsafe LinearWeight RoundedWeight(CpuBackend backend, TestWeight weight)
    {
        float[] values = [.. weight.W.Select(v => Rounded((float)v))], bias = [.. weight.Bias!.Select(v => (float)v)];
        fixed (float* matrix = values, vector = bias)
        {
            int n = bias.Length, k = values.Length / n;
            return backend.CreateLinear(new LinearSource("w", [new HostTensor("w", (nint)matrix, DType.F32, [n, k])],
                [new HostTensor("b", (nint)vector, DType.F32, [n])]));
        }
    }

    private sealed class ForeignWeight() : LinearWeight("w", 3, 3)
    {
        public override long Bytes => 0;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
