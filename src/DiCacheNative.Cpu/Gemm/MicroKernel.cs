using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>
/// The innermost loop of every matrix product: a tile of up to 8 rows x 3 vectors of sums stays in registers while one step after another
/// adds the product of a column of inputs and a row of weights.
/// </summary>
/// <remarks>
/// With 16 lanes the tile has 24 sums: per step 24 multiply-adds against 3 loads of weights and 8 broadcasts, so the loop is bound by
/// the multiplier on processors with one 512-bit multiplier (24 cycles for 11 loads) and with two (12 cycles for 11).
/// </remarks>
internal static unsafe class MicroKernel<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>The kernel of a linear layer for a number of rows.</summary>
    internal static delegate*<float*, byte*, float*, long, int, float*, bool, byte*, long, void> Linear<TElement>(int rows)
        where TElement : struct, IPanelElement => rows switch
        {
            1 => &Multiply<LinearTile<Rows1>, TElement>,
            2 => &Multiply<LinearTile<Rows2>, TElement>,
            3 => &Multiply<LinearTile<Rows3>, TElement>,
            4 => &Multiply<LinearTile<Rows4>, TElement>,
            5 => &Multiply<LinearTile<Rows5>, TElement>,
            6 => &Multiply<LinearTile<Rows6>, TElement>,
            7 => &Multiply<LinearTile<Rows7>, TElement>,
            _ => &Multiply<LinearTile<Rows8>, TElement>,
        };

    /// <summary>c = a b (+ c) (+ extra), or c = extra[row] c + a b for a tile that rescales.</summary>
    /// <param name="a">Inputs, packed or row by row as the tile says.</param>
    /// <param name="b">Weights, one row of the tile's width per step.</param>
    /// <param name="c">Result.</param>
    /// <param name="cStride">Floats from one row of the result to the next.</param>
    /// <param name="steps">Length of the sums.</param>
    /// <param name="extra">A bias as wide as the tile, or null; for a tile that rescales the factor of each row.</param>
    /// <param name="accumulate">Whether the old result is added.</param>
    /// <param name="next">What will be needed soon; it is fetched to the second-level cache bit by bit.</param>
    /// <param name="nextPerStep">Bytes of it per step. With less than a cache line some are asked for again, which costs nothing.</param>
    [MethodImpl(MethodImplOptions.NoInlining | MethodImplOptions.AggressiveOptimization)]
    internal static void Multiply<TTile, TElement>(float* a, byte* b, float* c, long cStride, int steps, float* extra, bool accumulate, byte* next,
        long nextPerStep)
        where TTile : struct, ITile
        where TElement : struct, IPanelElement
    {
        TVector s00, s01, s02, s10, s11, s12, s20, s21, s22, s30, s31, s32, s40, s41, s42, s50, s51, s52, s60, s61, s62, s70, s71, s72;
        s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = s30 = s31 = s32 = TSimd.Zero;
        s40 = s41 = s42 = s50 = s51 = s52 = s60 = s61 = s62 = s70 = s71 = s72 = TSimd.Zero;
        int size = TElement.Size * TSimd.Width;
        int row = TTile.InputStride == 0 ? 1 : TTile.InputStride;
        int step = TTile.InputStride == 0 ? TSimd.TileRows : 1;
        FetchResult<TTile>(c, cStride);
        for (float* end = a + ((long)steps * step); a < end; a += step, b += TTile.Columns * size, next += nextPerStep)
        {
            TSimd.Fetch(next);
            TVector b0 = TElement.Load<TSimd, TVector, TWide>(b);
            TVector b1 = TElement.Load<TSimd, TVector, TWide>(b + size);
            TVector b2 = TTile.Columns > 2 ? TElement.Load<TSimd, TVector, TWide>(b + (2 * size)) : TSimd.Zero;
            AddRow<TTile>(a[0], b0, b1, b2, ref s00, ref s01, ref s02);
            if (TTile.Rows > 1)
            {
                AddRow<TTile>(a[row], b0, b1, b2, ref s10, ref s11, ref s12);
            }

            if (TTile.Rows > 2)
            {
                AddRow<TTile>(a[2 * row], b0, b1, b2, ref s20, ref s21, ref s22);
            }

            if (TTile.Rows > 3)
            {
                AddRow<TTile>(a[3 * row], b0, b1, b2, ref s30, ref s31, ref s32);
            }

            if (TTile.Rows > 4)
            {
                AddRow<TTile>(a[4 * row], b0, b1, b2, ref s40, ref s41, ref s42);
            }

            if (TTile.Rows > 5)
            {
                AddRow<TTile>(a[5 * row], b0, b1, b2, ref s50, ref s51, ref s52);
            }

            if (TTile.Rows > 6)
            {
                AddRow<TTile>(a[6 * row], b0, b1, b2, ref s60, ref s61, ref s62);
            }

            if (TTile.Rows > 7)
            {
                AddRow<TTile>(a[7 * row], b0, b1, b2, ref s70, ref s71, ref s72);
            }
        }

        StoreRow<TTile>(c, s00, s01, s02, extra, accumulate);
        if (TTile.Rows > 1)
        {
            StoreRow<TTile>(c += cStride, s10, s11, s12, Extra<TTile>(extra, 1), accumulate);
        }

        if (TTile.Rows > 2)
        {
            StoreRow<TTile>(c += cStride, s20, s21, s22, Extra<TTile>(extra, 2), accumulate);
        }

        if (TTile.Rows > 3)
        {
            StoreRow<TTile>(c += cStride, s30, s31, s32, Extra<TTile>(extra, 3), accumulate);
        }

        if (TTile.Rows > 4)
        {
            StoreRow<TTile>(c += cStride, s40, s41, s42, Extra<TTile>(extra, 4), accumulate);
        }

        if (TTile.Rows > 5)
        {
            StoreRow<TTile>(c += cStride, s50, s51, s52, Extra<TTile>(extra, 5), accumulate);
        }

        if (TTile.Rows > 6)
        {
            StoreRow<TTile>(c += cStride, s60, s61, s62, Extra<TTile>(extra, 6), accumulate);
        }

        if (TTile.Rows > 7)
        {
            StoreRow<TTile>(c += cStride, s70, s71, s72, Extra<TTile>(extra, 7), accumulate);
        }
    }

    /// <summary>Asks for the old result while the sums are made.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void FetchResult<TTile>(float* c, long cStride)
        where TTile : struct, ITile
    {
        for (int r = 0; r < TTile.Rows; r++, c += cStride)
        {
            TSimd.Fetch((byte*)c);
            TSimd.Fetch((byte*)(c + TSimd.Width));
            TSimd.Fetch((byte*)(c + ((TTile.Columns - 1) * TSimd.Width)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddRow<TTile>(float a, TVector b0, TVector b1, TVector b2, ref TVector s0, ref TVector s1, ref TVector s2)
        where TTile : struct, ITile
    {
        TVector x = TSimd.Create(a);
        s0 = TSimd.MultiplyAdd(x, b0, s0);
        s1 = TSimd.MultiplyAdd(x, b1, s1);
        if (TTile.Columns > 2)
        {
            s2 = TSimd.MultiplyAdd(x, b2, s2);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float* Extra<TTile>(float* extra, int row)
        where TTile : struct, ITile => TTile.Rescales ? extra + row : extra;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreRow<TTile>(float* c, TVector s0, TVector s1, TVector s2, float* extra, bool accumulate)
        where TTile : struct, ITile
    {
        if (TTile.Rescales)
        {
            TVector factor = TSimd.Create(*extra);
            s0 = TSimd.MultiplyAdd(TSimd.Load(c), factor, s0);
            s1 = TSimd.MultiplyAdd(TSimd.Load(c + TSimd.Width), factor, s1);
            s2 = TTile.Columns > 2 ? TSimd.MultiplyAdd(TSimd.Load(c + (2 * TSimd.Width)), factor, s2) : s2;
        }
        else
        {
            if (accumulate)
            {
                s0 = TSimd.Add(TSimd.Load(c), s0);
                s1 = TSimd.Add(TSimd.Load(c + TSimd.Width), s1);
                s2 = TTile.Columns > 2 ? TSimd.Add(TSimd.Load(c + (2 * TSimd.Width)), s2) : s2;
            }

            if (extra != null)
            {
                s0 = TSimd.Add(s0, TSimd.Load(extra));
                s1 = TSimd.Add(s1, TSimd.Load(extra + TSimd.Width));
                s2 = TTile.Columns > 2 ? TSimd.Add(s2, TSimd.Load(extra + (2 * TSimd.Width))) : s2;
            }
        }

        TSimd.Store(c, s0);
        TSimd.Store(c + TSimd.Width, s1);
        if (TTile.Columns > 2)
        {
            TSimd.Store(c + (2 * TSimd.Width), s2);
        }
    }
}
