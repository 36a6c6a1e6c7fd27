using System.Runtime.Intrinsics;

namespace DiCacheNative.Sampling;

/// <summary>
/// Logarithm, sine and cosine by the single-precision polynomials of Moshier's Cephes library, eight numbers at a time, with products
/// and sums fused as PyTorch's compiled code has them: start noise must come out equal to the last bit on every machine.
/// </summary>
internal static class CephesMath
{
    /// <summary>Natural logarithm of normal positive numbers.</summary>
    internal static Vector256<float> Log(Vector256<float> x)
    {
        Vector256<float> one = Vector256<float>.One;
        Vector256<int> bits = x.AsInt32();
        Vector256<float> e = Vector256.ConvertToSingle((bits >>> 23) - Vector256.Create(0x7F)) + one;
        Vector256<float> m = ((bits & Vector256.Create(~0x7F800000)) | Vector256.Create(0.5f).AsInt32()).AsSingle();

        // Mantissa in [sqrt(1/2), sqrt(2)), less 1.
        Vector256<float> low = Vector256.LessThan(m, Vector256.Create(0.707106781186547524f));
        e -= one & low;
        m = m - one + (m & low);

        Vector256<float> z = m * m;
        Vector256<float> y = Vector256.Create(7.0376836292e-2f);
        y = Fma(y, m, -1.1514610310e-1f);
        y = Fma(y, m, 1.1676998740e-1f);
        y = Fma(y, m, -1.2420140846e-1f);
        y = Fma(y, m, 1.4249322787e-1f);
        y = Fma(y, m, -1.6668057665e-1f);
        y = Fma(y, m, 2.0000714765e-1f);
        y = Fma(y, m, -2.4999993993e-1f);
        y = Fma(y, m, 3.3333331174e-1f);
        y = Fma(y * m, z, e * Vector256.Create(-2.12194440e-4f));
        y = Fma(z, Vector256.Create(-0.5f), y);
        return Fma(e, Vector256.Create(0.693359375f), m + y);
    }

    /// <summary>Sine and cosine of numbers from 0 to about 8192.</summary>
    internal static (Vector256<float> Sin, Vector256<float> Cos) SinCos(Vector256<float> x)
    {
        // Octant, rounded up to an even one; what is left lies in [-pi/4, pi/4].
        Vector256<int> octant = Vector256.ConvertToInt32(x * Vector256.Create(1.27323954473516f)) + Vector256<int>.One;
        octant &= Vector256.Create(~1);
        Vector256<float> j = Vector256.ConvertToSingle(octant);
        x = Fma(j, Vector256.Create(-0.78515625f), x);
        x = Fma(j, Vector256.Create(-2.4187564849853515625e-4f), x);
        x = Fma(j, Vector256.Create(-3.77489497744594108e-8f), x);

        Vector256<float> z = x * x;
        Vector256<float> cos = Vector256.Create(2.443315711809948e-5f);
        cos = Fma(cos, z, -1.388731625493765e-3f);
        cos = Fma(cos, z, 4.166664568298827e-2f);
        cos = Fma(cos * z, z, z * Vector256.Create(-0.5f)) + Vector256<float>.One;

        Vector256<float> sin = Vector256.Create(-1.9515295891e-4f);
        sin = Fma(sin, z, 8.3321608736e-3f);
        sin = Fma(sin, z, -1.6666654611e-1f);
        sin = Fma(sin * z, x, x);

        // Octants 2 and 6 swap the two; the signs follow from the octant.
        Vector256<float> straight = Vector256.Equals(octant & Vector256.Create(2), Vector256<int>.Zero).AsSingle();
        Vector256<float> sinSign = ((octant & Vector256.Create(4)) << 29).AsSingle();
        Vector256<float> cosSign = (Vector256.AndNot(Vector256.Create(4), octant - Vector256.Create(2)) << 29).AsSingle();
        return (Vector256.ConditionalSelect(straight, sin, cos) ^ sinSign, Vector256.ConditionalSelect(straight, cos, sin) ^ cosSign);
    }

    private static Vector256<float> Fma(Vector256<float> a, Vector256<float> b, float c) => Fma(a, b, Vector256.Create(c));

    private static Vector256<float> Fma(Vector256<float> a, Vector256<float> b, Vector256<float> c) => Vector256.FusedMultiplyAdd(a, b, c);
}
