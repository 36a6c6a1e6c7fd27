using System.Runtime.Intrinsics;
using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.Cpu.Simd;
using DiCacheNative.OpTests.Cases;

namespace DiCacheNative.OpTests;

/// <summary>The stated accuracy of the elementary functions, for each vector width.</summary>
public sealed unsafe class VectorMathTests
{
    public static TheoryData<SimdLevel> Levels => [SimdLevel.Vector512, SimdLevel.Vector256, SimdLevel.Scalar];

    [Theory]
    [MemberData(nameof(Levels))]
    public void Exp_is_accurate_to_1_3e_7_where_results_are_normal(SimdLevel simd) =>
        RequireRelative(simd, "exp", Math.Exp, -87, 88.7, 1.3e-7);

    [Theory]
    [MemberData(nameof(Levels))]
    public void Exp2_is_accurate_to_1_1e_7_where_results_are_normal(SimdLevel simd) =>
        RequireRelative(simd, "exp2", x => Math.Pow(2, x), -126, 127.9, 1.1e-7);

    [Theory]
    [MemberData(nameof(Levels))]
    public void Exp_ends_in_zero_and_infinity(SimdLevel simd)
    {
        float[] x = [-1e30f, -105, -103, -90, 89, 1000, float.PositiveInfinity, float.NegativeInfinity, float.NaN, 0];
        float[] y = Apply(simd, "exp", x);
        Assert.Equal([0, 0], y[..2]);
        Assert.InRange(y[2], float.Epsilon, 3e-45f);
        Assert.InRange(y[3], 8e-40f, 8.4e-40f);
        Assert.Equal([float.PositiveInfinity, float.PositiveInfinity, float.PositiveInfinity, 0, float.NaN, 1], y[4..]);
    }

    [Theory]
    [MemberData(nameof(Levels))]
    public void Activations_are_accurate_to_a_few_units_in_the_last_place(SimdLevel simd)
    {
        RequireRelative(simd, "silu", v => Reference.Activate(v, Epilogue.Silu), -80, 100, 3e-7);
        RequireRelative(simd, "gelu tanh", v => Reference.Activate(v, Epilogue.GeluTanh), -2, 100, 4e-7);
        RequireRelative(simd, "gelu erf", v => Reference.Activate(v, Epilogue.GeluErf), -2, 100, 5e-7);
        RequireAbsolute(simd, "gelu tanh", v => Reference.Activate(v, Epilogue.GeluTanh), -30, -2, 1e-7);
        RequireAbsolute(simd, "gelu erf", v => Reference.Activate(v, Epilogue.GeluErf), -30, -2, 1e-7);
    }

    private static void RequireRelative(SimdLevel simd, string function, Func<double, double> exact, double from, double to, double bound) =>
        Require(simd, function, exact, from, to, bound, (actual, expected) => Math.Abs((actual / expected) - 1));

    private static void RequireAbsolute(SimdLevel simd, string function, Func<double, double> exact, double from, double to, double bound) =>
        Require(simd, function, exact, from, to, bound, (actual, expected) => Math.Abs(actual - expected));

    private static void Require(
        SimdLevel simd, string function, Func<double, double> exact, double from, double to, double bound, Func<double, double, double> error)
    {
        float[] x = new float[40_000];
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = (float)(from + ((to - from) * (i + 0.37) / x.Length));
        }

        float[] y = Apply(simd, function, x);
        double worst = 0, where = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double e = error(y[i], exact(x[i]));
            (worst, where) = e > worst || double.IsNaN(e) ? (e, x[i]) : (worst, where);
        }

        Assert.True(worst <= bound, $"{function}: error {worst:E2} at {where}, more than {bound:E2}");
    }

    private static float[] Apply(SimdLevel simd, string function, float[] x)
    {
        Assert.SkipUnless(SimdLevels.IsSupported(simd), $"this processor has no {simd}");
        return simd switch
        {
            SimdLevel.Vector512 => Apply<Lanes16, Vector512<float>, Vector512<double>>(function, x),
            SimdLevel.Vector256 => Apply<Lanes8, Vector256<float>, Vector256<double>>(function, x),
            _ => Apply<Lanes1, float, double>(function, x),
        };
    }

    private static float[] Apply<TSimd, TVector, TWide>(string function, float[] x)
        where TSimd : struct, ISimd<TVector, TWide>
        where TVector : struct
        where TWide : struct
    {
        float[] y = new float[x.Length];
        float* buffer = stackalloc float[16];
        for (int i = 0; i < x.Length; i += TSimd.Width)
        {
            int count = Math.Min(TSimd.Width, x.Length - i);
            x.AsSpan(i, count).CopyTo(new Span<float>(buffer, count));
            TVector v = TSimd.Load(buffer);
            TSimd.Store(buffer, function switch
            {
                "exp" => VectorMath<TSimd, TVector, TWide>.Exp(v),
                "exp2" => VectorMath<TSimd, TVector, TWide>.Exp2(v),
                "silu" => VectorMath<TSimd, TVector, TWide>.Silu(v),
                "gelu tanh" => VectorMath<TSimd, TVector, TWide>.GeluTanh(v),
                _ => VectorMath<TSimd, TVector, TWide>.GeluErf(v),
            });
            new Span<float>(buffer, count).CopyTo(y.AsSpan(i));
        }

        return y;
    }
}
