using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests;

/// <summary>NaN and infinities go through every operation as IEEE arithmetic takes them.</summary>
public sealed class NonFiniteTests
{
    public static TheoryData<SimdLevel> Levels => [SimdLevel.Vector512, SimdLevel.Vector256, SimdLevel.Scalar];

    [Theory]
    [MemberData(nameof(Levels))]
    public void Probe_sums_carry_NaN_and_infinity_to_where_they_belong(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        foreach (float value in new[] { float.NaN, float.PositiveInfinity, float.NegativeInfinity })
        {
            foreach (int at in new[] { 0, 100, 101 })
            {
                foreach (ProbeForm form in Enum.GetValues<ProbeForm>())
                {
                    using CaseSetup s = new(backend);
                    Tensor[] t = [.. Enumerable.Range(0, 6).Select(_ => s.Input(1, 3, 34).Tensor)];
                    Set(t[0], at, value);
                    TestTensor sums = s.Output(1, 1, 6);
                    backend.ProbeL1(new ProbeInputs(t[0], t[1], t[2], t[3], t[4], t[5]), sums.Tensor, form);
                    float[] got = Values(backend, sums.Tensor);
                    float expected = MathF.Abs(value);
                    Assert.Equal([expected, expected], [got[0], got[4]]);
                    Assert.All(new[] { got[1], got[2], got[3], got[5] }, v => Assert.True(float.IsFinite(v)));
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void A_sum_beyond_binary32_is_infinite_and_one_below_its_normal_range_is_not_lost(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        foreach ((double scale, bool finite) in new[] { (1e38, false), (1e-42, true) })
        {
            using CaseSetup s = new(backend);
            TestTensor p = s.Input(1, 20, 50, scale: scale), previous = s.Input(1, 20, 50, scale: scale), sums = s.Output(1, 1, 6);
            backend.ProbeL1(new ProbeInputs(p.Tensor, previous.Tensor), sums.Tensor);
            float[] got = Values(backend, sums.Tensor);
            Assert.Equal(finite, float.IsFinite(got[0]));
            Assert.True(got[0] > 0 && got[1] > 0);
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Norms_and_products_spoil_the_row_that_holds_a_NaN_and_no_other(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        using CaseSetup s = new(backend);
        TestTensor x = s.Input(1, 20, 40), y = s.Output(1, 20, 40), z = s.Output(1, 20, 55);
        Set(x.Tensor, (7 * 40) + 39, float.NaN);
        TestWeight w = s.Weight(55, 40);
        backend.LayerNormModulate(x.Tensor, default, y.Tensor);
        backend.Linear(x.Tensor, w.Weight, z.Tensor, Epilogue.GeluTanh);
        foreach (Tensor t in new[] { y.Tensor, z.Tensor })
        {
            float[] got = Values(backend, t);
            for (int i = 0; i < got.Length; i++)
            {
                Assert.Equal(i / t.Cols == 7, float.IsNaN(got[i]));
            }
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Attention_spoils_the_rows_and_columns_that_see_a_NaN(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        using CaseSetup s = new(backend);
        const int rows = 210, width = 20;
        TestTensor q = s.Input(1, rows, 2 * width), k = s.Input(1, rows, 2 * width), v = s.Input(1, rows, 2 * width), o = s.Output(1, rows, 2 * width);
        Set(q.Tensor, (3 * 2 * width) + 5, float.NaN);
        Set(v.Tensor, (200 * 2 * width) + width, float.NaN);
        backend.Attention(q.Tensor, k.Tensor, v.Tensor, o.Tensor, 2, 0.2f);
        float[] got = Values(backend, o.Tensor);
        for (int i = 0; i < got.Length; i++)
        {
            bool spoiled = (i / (2 * width) == 3 && i % (2 * width) < width) || i % (2 * width) == width;
            Assert.Equal(spoiled, float.IsNaN(got[i]));
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Attention_leaves_out_keys_whose_score_is_minus_infinity(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        using CaseSetup s = new(backend);
        const int keys = 400, width = 16;
        TestTensor q = s.Input(1, 9, width), k = s.Input(1, keys, width), v = s.Input(1, keys, width), o = s.Output(1, 9, width), few = s.Output(1, 9, width);
        float[] ones = new float[9 * width], columns = new float[keys * width];
        backend.Download(k.Tensor, columns);
        Array.Fill(ones, 1);
        backend.Upload(ones, q.Tensor);

        // The first 250 keys, more than one whole block of them, score -inf.
        for (int i = 0; i < 250; i++)
        {
            columns[i * width] = float.NegativeInfinity;
        }

        backend.Upload(columns, k.Tensor);
        backend.Attention(q.Tensor, k.Tensor, v.Tensor, o.Tensor, 1, 0.25f);
        backend.Attention(q.Tensor, k.Tensor.SliceRows(250, 150), v.Tensor.SliceRows(250, 150), few.Tensor, 1, 0.25f);
        float[] got = Values(backend, o.Tensor), expected = Values(backend, few.Tensor);
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(expected[i], got[i], 1e-6f);
        }
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Activations_follow_their_formulas_at_the_ends_of_the_range(SimdLevel simd)
    {
        CpuBackend backend = TestBackends.Get(simd);
        float[] inputs = [float.NaN, float.PositiveInfinity, float.MaxValue, 1e4f, 50, 0, -0f, -50, -1e4f, float.MinValue];
        float[] expected = [float.NaN, float.PositiveInfinity, float.MaxValue, 1e4f, 50, 0, -0f, -0f, -0f, -0f];
        foreach (Epilogue activation in new[] { Epilogue.Silu, Epilogue.GeluTanh, Epilogue.GeluErf })
        {
            foreach (int padding in new[] { 0, 30 })
            {
                using CaseSetup s = new(backend);
                int width = inputs.Length + padding;
                TestTensor x = s.Input(1, 1, width), y = s.Output(1, 1, width);
                backend.Upload([.. new float[padding], .. inputs], x.Tensor);
                backend.Activate(x.Tensor, y.Tensor, activation);
                float[] got = Values(backend, y.Tensor);
                for (int i = 0; i < inputs.Length; i++)
                {
                    Assert.Equal(expected[i], got[padding + i], 1e-18f);
                }
            }
        }
    }

    private static unsafe void Set(Tensor t, int element, float value) => ((float*)t.Data)[element] = value;

    private static float[] Values(CpuBackend backend, Tensor t)
    {
        float[] values = new float[t.Count];
        backend.Download(t, values);
        return values;
    }
}
