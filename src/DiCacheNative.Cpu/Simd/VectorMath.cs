using System.Runtime.CompilerServices;
using DiCacheNative.Backends;

namespace DiCacheNative.Cpu.Simd;

/// <summary>
/// Elementary functions over vectors. The polynomials are Chebyshev interpolations fitted for this file; each function states its largest
/// relative error, arithmetic in binary32 included. NaN gives NaN.
/// </summary>
internal static unsafe class VectorMath<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>e^x; relative error 1.3e-7. Exactly 0 below -104, infinity above 88.73.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Exp(TVector x)
    {
        TVector clamped = TSimd.Min(TSimd.Create(89f), TSimd.Max(TSimd.Create(-105f), x));
        TVector n = TSimd.Round(TSimd.Multiply(clamped, TSimd.Create(1.44269504f)));

        // ln 2 in two parts, the first with few enough digits that n times it is exact.
        TVector r = TSimd.MultiplyAdd(n, TSimd.Create(-0.693359375f), clamped);
        r = TSimd.MultiplyAdd(n, TSimd.Create(2.12194440e-4f), r);
        TVector p = TSimd.Create(0.00139421597f);
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.00837596785f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.0416663401f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.166664049f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.5f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(1f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(1f));
        return TSimd.Scale(p, n);
    }

    /// <summary>2^x for x up to 129 (infinity from 128); relative error 1.1e-7. Exactly 0 below -151.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Exp2(TVector x)
    {
        TVector clamped = TSimd.Max(TSimd.Create(-152f), x);
        TVector n = TSimd.Round(clamped);
        TVector r = TSimd.Subtract(clamped, n);
        TVector p = TSimd.Create(0.000154626105f);
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.00134017749f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.00961805414f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.055503238f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.240226507f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(0.693147182f));
        p = TSimd.MultiplyAdd(p, r, TSimd.Create(1f));
        return TSimd.Scale(p, n);
    }

    /// <summary>v / (1 + e^-v); relative error 3e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Silu(TVector v)
    {
        TVector e = Exp(TSimd.Subtract(TSimd.Zero, v));
        return TSimd.Divide(v, TSimd.Add(TSimd.Create(1f), e));
    }

    /// <summary>
    /// 0.5 v (1 + tanh u) with u = sqrt(2/pi) (v + 0.044715 v^3), computed as v / (1 + e^-2u), which loses no digits for negative v.
    /// Relative error 4e-7 for v > -2, absolute error 1e-7 below.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluTanh(TVector v)
    {
        TVector square = TSimd.Multiply(v, v);

        // The exponent in units of ln 2, so that a power of two does: -2 sqrt(2/pi) log2(e) (v + 0.044715 v^3).
        TVector factor = TSimd.MultiplyAdd(square, TSimd.Create(-0.102943240f), TSimd.Create(-2.30220819f));
        TVector e = Exp2(TSimd.Min(TSimd.Create(129f), TSimd.Multiply(v, factor)));
        return TSimd.Divide(v, TSimd.Add(TSimd.Create(1f), e));
    }

    /// <summary>
    /// 0.5 v (1 + erf(v / sqrt 2)) through erfc: relative error 5e-7 for v > -2, absolute error 1e-7 below.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector GeluErf(TVector v)
    {
        TVector tail = TSimd.Multiply(TSimd.Create(0.5f), ErfcOfPositive(TSimd.Multiply(TSimd.Abs(v), TSimd.Create(0.707106781f))));
        return TSimd.Multiply(v, TSimd.SelectNegative(v, tail, TSimd.Subtract(TSimd.Create(1f), tail)));
    }

    /// <summary>Applies an epilogue.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector Apply(TVector v, Epilogue epilogue) => epilogue switch
    {
        Epilogue.GeluTanh => GeluTanh(v),
        Epilogue.Silu => Silu(v),
        Epilogue.GeluErf => GeluErf(v),
        _ => v,
    };

    /// <summary>y = epilogue(x) for a row; y may be x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void ApplyRow(float* x, float* y, int count, Epilogue epilogue)
    {
        int i = 0;
        switch (epilogue)
        {
            case Epilogue.GeluTanh:
                for (; i <= count - TSimd.Width; i += TSimd.Width)
                {
                    TSimd.Store(y + i, GeluTanh(TSimd.Load(x + i)));
                }

                break;
            case Epilogue.Silu:
                for (; i <= count - TSimd.Width; i += TSimd.Width)
                {
                    TSimd.Store(y + i, Silu(TSimd.Load(x + i)));
                }

                break;
            case Epilogue.GeluErf:
                for (; i <= count - TSimd.Width; i += TSimd.Width)
                {
                    TSimd.Store(y + i, GeluErf(TSimd.Load(x + i)));
                }

                break;
            default:
                if (x != y)
                {
                    Buffer.MemoryCopy(x, y, (long)count * sizeof(float), (long)count * sizeof(float));
                }

                return;
        }

        if (i < count)
        {
            float* rest = stackalloc float[TSimd.Width];
            TVector v = Rows<TSimd, TVector, TWide>.LoadPart(x + i, count - i, rest);
            TSimd.Store(rest, Apply(v, epilogue));
            Rows<TSimd, TVector, TWide>.StorePart(y + i, count - i, rest);
        }
    }

    /// <summary>erfc(z) for z >= 0 as t h(t) e^(-z^2) with t = 1 / (1 + 0.3 z); h fitted for z up to 10, beyond which e^(-z^2) is 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector ErfcOfPositive(TVector z)
    {
        TVector t = TSimd.Divide(TSimd.Create(1f), TSimd.MultiplyAdd(z, TSimd.Create(0.3f), TSimd.Create(1f)));
        TVector s = TSimd.Subtract(t, TSimd.Create(0.5f));
        TVector h = TSimd.Create(-0.130770877f);
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(-0.0311492383f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.280222148f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.653318048f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.911323369f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.949736059f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.795124948f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.55304724f));
        h = TSimd.MultiplyAdd(h, s, TSimd.Create(0.324979931f));

        // Beyond 10 the square is held: e^-105 is 0 already, and infinity minus infinity would be NaN.
        TVector held = TSimd.Min(TSimd.Create(11f), z);
        return TSimd.Multiply(TSimd.Multiply(t, h), Exp(TSimd.Multiply(held, TSimd.Subtract(TSimd.Zero, held))));
    }
}
