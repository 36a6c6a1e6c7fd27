using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests;

/// <summary>What must not change a single bit of a result.</summary>
public sealed class CpuInvarianceTests
{
    private const double FlopLimit = 2e8, ByteLimit = 4e6;

    internal static IEnumerable<OpCase> SmallCases => OpCases.All.Where(c => c.Flops <= FlopLimit && c.Bytes(DType.F32) <= ByteLimit);

    [Theory]
    [InlineData(SimdLevel.Vector512, GemmEngine.Managed)]
    [InlineData(SimdLevel.Vector256, GemmEngine.Managed)]
    [InlineData(SimdLevel.Scalar, GemmEngine.Managed)]
    [InlineData(SimdLevel.Auto, GemmEngine.OneDnn)]
    public void Results_do_not_depend_on_the_number_of_threads(SimdLevel simd, GemmEngine gemm)
    {
        foreach (OpCase test in SmallCases)
        {
            float[][] expected = Results(TestBackends.Get(simd, gemm, threads: 1), test);
            foreach (int threads in new[] { 2, 5 })
            {
                RequireSameBits(expected, Results(TestBackends.Get(simd, gemm, threads), test), $"{test.Name} with {threads} threads");
            }
        }
    }

    [Theory]
    [InlineData(SimdLevel.Vector512)]
    [InlineData(SimdLevel.Vector256)]
    [InlineData(SimdLevel.Scalar)]
    public void All_probe_forms_give_the_same_bits(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        foreach (OpCase test in SmallCases.Where(c => c.Name.Contains(" Unfused ", StringComparison.Ordinal)))
        {
            float[][] expected = Results(backend, test);
            foreach (string form in new[] { " Fused ", " Epilogue " })
            {
                OpCase other = OpCases.Named(test.Name.Replace(" Unfused ", form, StringComparison.Ordinal));
                RequireSameBits(expected, Results(backend, other), other.Name);
            }
        }
    }

    [Theory]
    [InlineData(SimdLevel.Vector512)]
    [InlineData(SimdLevel.Vector256)]
    [InlineData(SimdLevel.Scalar)]
    public void Extras_of_a_residual_addition_give_the_bits_of_the_operations_alone(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        const int batch = 2, rows = 37, cols = 77;
        using CaseSetup s = new(backend);
        Tensor[] maps = [.. Enumerable.Range(0, 7).Select(_ => s.Input(batch, rows, cols).Tensor)];
        TestTensor gate = s.Parameter(batch, 1, cols), scale = s.Parameter(1, 1, cols), shift = s.Parameter(1, 1, cols);
        TestTensor into = s.Output(batch, rows, cols), norm = s.Output(batch, rows, cols), residual = s.Output(batch, rows, cols), sums = s.Output(1, 1, 6);
        Modulation modulation = new(shift.Tensor, scale.Tensor);
        ProbeInputs probe = new(default, maps[2], maps[3], maps[4], maps[5], maps[6]);
        backend.GatedResidual(
            maps[0], maps[1], gate.Tensor, into.Tensor, new ResidualExtras(new NextNorm(modulation, norm.Tensor), probe, sums.Tensor, maps[3],
                residual.Tensor));

        TestTensor into2 = s.Output(batch, rows, cols), norm2 = s.Output(batch, rows, cols), residual2 = s.Output(batch, rows, cols), sums2 = s.Output(1, 1, 6);
        backend.GatedResidual(maps[0], maps[1], gate.Tensor, into2.Tensor);
        backend.LayerNormModulate(into2.Tensor, modulation, norm2.Tensor);
        backend.Subtract(into2.Tensor, maps[3], residual2.Tensor);
        backend.ProbeL1(probe with { Probe = into2.Tensor }, sums2.Tensor, ProbeForm.Unfused);

        RequireSameBits(
            [.. new[] { into2, norm2, residual2, sums2 }.Select(t => Values(backend, t.Tensor))],
            [.. new[] { into, norm, residual, sums }.Select(t => Values(backend, t.Tensor))], "extras");
    }

    [Theory]
    [InlineData(SimdLevel.Vector512, GemmEngine.Managed)]
    [InlineData(SimdLevel.Vector256, GemmEngine.Managed)]
    [InlineData(SimdLevel.Scalar, GemmEngine.Managed)]
    [InlineData(SimdLevel.Auto, GemmEngine.OneDnn)]
    public unsafe void Weights_of_16_bits_give_the_bits_of_the_same_numbers_in_32_bits(SimdLevel simd, GemmEngine gemm)
    {
        CpuBackend backend = TestBackends.Get(simd, gemm);
        const int n = 101, k = 395;
        ushort[] bits = new ushort[n * k];
        float[] widened = new float[n * k];
        Random random = new(3);
        foreach (DType type in new[] { DType.BF16, DType.F16 })
        {
            for (int i = 0; i < bits.Length; i++)
            {
                // Every exponent that keeps a product finite, subnormal halves included, either sign.
                bits[i] = type == DType.F16 ? (ushort)random.Next(0x7C00) : (ushort)random.Next(0x3000, 0x4400);
                bits[i] |= (ushort)(random.Next(2) << 15);
                widened[i] = type == DType.F16 ? (float)BitConverter.UInt16BitsToHalf(bits[i]) : BitConverter.UInt32BitsToSingle((uint)bits[i] << 16);
            }

            fixed (ushort* narrow = bits)
            {
                fixed (float* wide = widened)
                {
                    using LinearWeight small = backend.CreateLinear(new LinearSource("w", [new HostTensor("w", (nint)narrow, type, [n, k])], []));
                    using LinearWeight large = backend.CreateLinear(new LinearSource("w", [new HostTensor("w", (nint)wide, DType.F32, [n, k])], []));
                    Assert.True(small.Bytes < 0.6 * large.Bytes, $"{small.Bytes} bytes against {large.Bytes}");
                    foreach (int rows in new[] { 1, 3, 8, 9, 41 })
                    {
                        using CaseSetup s = new(backend);
                        TestTensor x = s.Input(1, rows, k), y = s.Output(1, rows, n), y2 = s.Output(1, rows, n);
                        backend.Linear(x.Tensor, small, y.Tensor, Epilogue.Silu);
                        backend.Linear(x.Tensor, large, y2.Tensor, Epilogue.Silu);
                        RequireSameBits([Values(backend, y2.Tensor)], [Values(backend, y.Tensor)], $"{type}, {rows} rows");
                    }
                }
            }
        }
    }

    [Fact]
    public void A_row_of_a_linear_layer_does_not_depend_on_the_rows_beside_it()
    {
        CpuBackend backend = TestBackends.Get();
        using CaseSetup s = new(backend);
        TestTensor x = s.Input(1, 141, 500), y = s.Output(1, 141, 130), alone = s.Output(1, 1, 130);
        TestWeight w = s.Weight(130, 500);
        backend.Linear(x.Tensor, w.Weight, y.Tensor);
        foreach (int row in new[] { 0, 5, 127, 128, 140 })
        {
            backend.Linear(x.Tensor.SliceRows(row, 1), w.Weight, alone.Tensor);
            RequireSameBits([Values(backend, y.Tensor.SliceRows(row, 1))], [Values(backend, alone.Tensor)], $"row {row}");
        }
    }

    [Fact]
    public void Several_threads_may_use_one_backend()
    {
        CpuBackend backend = TestBackends.Get(threads: 3);
        OpCase[] cases = [.. SmallCases.Where(c => c.Flops > 1e5)];
        float[][][] expected = [.. cases.Select(c => Results(backend, c))];
        Exception?[] failures = new Exception?[4];
        Thread[] threads = [.. Enumerable.Range(0, failures.Length).Select(t => new Thread(() =>
        {
            try
            {
                for (int i = 0; i < cases.Length; i++)
                {
                    int at = (i + (t * 7)) % cases.Length;
                    RequireSameBits(expected[at], Results(backend, cases[at]), cases[at].Name);
                }
            }
            catch (Exception e)
            {
                failures[t] = e;
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.All(failures, Assert.Null);
    }

    private static float[][] Results(CpuBackend backend, OpCase test)
    {
        using CaseSetup setup = new(backend);
        test.Prepare(setup)();
        return [.. setup.Expected.Select(e => Values(backend, e.Output.Tensor))];
    }

    private static float[] Values(CpuBackend backend, Tensor t)
    {
        float[] values = new float[t.Count];
        backend.Download(t, values);
        return values;
    }

    private static void RequireSameBits(float[][] expected, float[][] actual, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            for (int j = 0; j < expected[i].Length; j++)
            {
                Assert.True(
                    BitConverter.SingleToInt32Bits(expected[i][j]) == BitConverter.SingleToInt32Bits(actual[i][j]),
                    $"{what}: element {j} of output {i} is {actual[i][j]:R}, not {expected[i][j]:R}");
            }
        }
    }
}
