using DiCacheNative.Backends;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>NaN and infinities go through the kernels as IEEE arithmetic takes them, as they do on the CPU backend.</summary>
[Collection(HostCollection.Name)]
public sealed class NonFiniteTests
{
    public static TheoryData<CudaPrecision> Precisions => [CudaPrecision.BF16, CudaPrecision.F32];

    [Theory]
    [MemberData(nameof(Precisions))]
    public void Probe_sums_carry_NaN_and_infinity_to_where_they_belong(CudaPrecision precision)
    {
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, precision);
        foreach (float value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            foreach (ProbeForm form in Enum.GetValues<ProbeForm>())
            {
                using CaseSetup s = new(backend);
                Tensor[] t = [.. Enumerable.Range(0, 6).Select(_ => s.Input(1, 3, 34).Tensor)];
                Set(backend, t[0], 100, value);
                Tensor sums = s.Output(1, 1, ProbeSums.Count, type: DType.F32).Tensor;

                backend.ProbeL1(new ProbeInputs(t[0], t[1], t[2], t[3], t[4], t[5]), sums, form);

                float[] got = Values(backend, sums);
                Assert.Equal([MathF.Abs(value), MathF.Abs(value)], [got[0], got[4]]);
                Assert.All(new[] { got[1], got[2], got[3], got[5] }, v => Assert.True(float.IsFinite(v)));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Precisions))]
    public void A_NaN_spoils_its_own_row_and_no_other(CudaPrecision precision)
    {
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, precision);
        using CaseSetup s = new(backend);
        Tensor x = s.Input(1, 20, 40).Tensor, y = s.Output(1, 20, 40).Tensor, z = s.Output(1, 20, 55).Tensor;
        Set(backend, x, (7 * 40) + 39, float.NaN);

        backend.LayerNormModulate(x, default, y);
        backend.Linear(x, s.Weight(55, 40).Weight, z, Epilogue.Silu);

        Assert.All(new[] { y, z }, t => Assert.All(Values(backend, t).Index(), v => Assert.Equal(v.Index / t.Cols == 7, float.IsNaN(v.Item))));
    }

    [Theory]
    [InlineData(CudaPrecision.BF16, 20)]
    [InlineData(CudaPrecision.BF16, 128)]
    [InlineData(CudaPrecision.BF16, 100)]
    [InlineData(CudaPrecision.F32, 20)]
    public void Attention_spoils_the_rows_and_columns_that_see_a_NaN(CudaPrecision precision, int width)
    {
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, precision);
        using CaseSetup s = new(backend);
        const int rows = 150;
        Tensor q = s.Input(1, rows, 2 * width).Tensor, k = s.Input(1, rows, 2 * width).Tensor, v = s.Input(1, rows, 2 * width).Tensor,
            o = s.Output(1, rows, 2 * width).Tensor;
        Set(backend, q, (3 * 2 * width) + 5, float.NaN);
        Set(backend, v, (140 * 2 * width) + width, float.NaN);

        backend.Attention(q, k, v, o, 2, 0.2f);

        Assert.All(Values(backend, o).Index(), e =>
            Assert.Equal((e.Index / (2 * width) == 3 && e.Index % (2 * width) < width) || e.Index % (2 * width) == width, float.IsNaN(e.Item)));
    }

    [Theory]
    [InlineData(CudaPrecision.BF16, 16)]
    [InlineData(CudaPrecision.BF16, 100)]
    [InlineData(CudaPrecision.F32, 16)]
    public void Attention_leaves_out_keys_whose_score_is_minus_infinity(CudaPrecision precision, int width)
    {
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, precision);
        using CaseSetup s = new(backend);
        const int keys = 200, left = 72;
        Tensor q = s.Input(1, 9, width).Tensor, k = s.Input(1, keys, width).Tensor, v = s.Input(1, keys, width).Tensor;
        Tensor all = s.Output(1, 9, width).Tensor, few = s.Output(1, 9, width).Tensor;
        backend.Upload([.. Enumerable.Repeat(1f, 9 * width)], q);

        // The first 128 keys, whole tiles of them, score -inf.
        for (int i = 0; i < keys - left; i++)
        {
            Set(backend, k, i * width, float.NegativeInfinity);
        }

        backend.Attention(q, k, v, all, 1, 0.25f);
        backend.Attention(q, k.SliceRows(keys - left, left), v.SliceRows(keys - left, left), few, 1, 0.25f);

        float[] expected = Values(backend, few);
        Assert.All(Values(backend, all).Index(), e => Assert.Equal(expected[e.Index], e.Item, precision == CudaPrecision.F32 ? 1e-6 : 0.01));
    }

    [Theory]
    [MemberData(nameof(Precisions))]
    public void Activations_follow_their_formulas_at_the_ends_of_the_range(CudaPrecision precision)
    {
        CudaBackend backend = HostBackends.Get(HostBackends.Normal, precision);
        float large = BitConverter.UInt32BitsToSingle(0x7F7F0000); // the largest that both types hold
        float[] inputs = [float.NaN, float.PositiveInfinity, large, 8192, 50, 0, -0f, -50, -8192, -large];
        float[] expected = [float.NaN, float.PositiveInfinity, large, 8192, 50, 0, 0, 0, 0, 0];
        foreach (Epilogue activation in new[] { Epilogue.Silu, Epilogue.GeluTanh, Epilogue.GeluErf })
        {
            using CaseSetup s = new(backend);
            Tensor x = s.Input(1, 1, inputs.Length).Tensor, y = s.Output(1, 1, inputs.Length).Tensor;
            backend.Upload(inputs, x);
            backend.Activate(x, y, activation);
            float[] got = Values(backend, y);
            for (int i = 0; i < inputs.Length; i++)
            {
                Assert.Equal(expected[i], got[i], 1e-18f);
            }
        }
    }

    private static void Set(CudaBackend backend, Tensor t, int element, float value) =>
        backend.Upload([value], t.Reshape(1, 1, (int)t.Count).SliceCols(element, 1));

    private static float[] Values(CudaBackend backend, Tensor t)
    {
        float[] values = new float[t.Count];
        backend.Download(t, values);
        Assert.Equal("", HostDriverLibrary.Require(HostBackends.Normal).Findings());
        return values;
    }
}
