using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>Transposes rows into panels: the elements of one column lie side by side, so that a kernel reads them as it goes.</summary>
internal static unsafe class InputPanels
{
    /// <summary>panel[c * panelRows + r] = source[r * stride + c] * factor for r &lt; rows, c &lt; cols.</summary>
    /// <param name="source">First row.</param>
    /// <param name="stride">Floats from one row to the next.</param>
    /// <param name="rows">Rows, at most <paramref name="panelRows"/>.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="panel">Destination; lanes of missing rows are left as they are.</param>
    /// <param name="panelRows">Rows of the panel.</param>
    /// <param name="factor">Multiplies every element; 1 changes nothing.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Pack(float* source, long stride, int rows, int cols, float* panel, int panelRows, float factor = 1)
    {
        int r = 0;
        if (Avx.IsSupported)
        {
            int whole = cols & ~7;
            for (; r <= rows - 8; r += 8)
            {
                for (int c = 0; c < whole; c += 8)
                {
                    Transpose8(source + (r * stride) + c, stride, panel + ((long)c * panelRows) + r, panelRows, Vector256.Create(factor));
                }

                PackPlainly(source + (r * stride), stride, 8, whole, cols, panel + r, panelRows, factor);
            }
        }

        if (Sse.IsSupported)
        {
            int whole = cols & ~3;
            for (; r <= rows - 4; r += 4)
            {
                for (int c = 0; c < whole; c += 4)
                {
                    Transpose4(source + (r * stride) + c, stride, panel + ((long)c * panelRows) + r, panelRows, Vector128.Create(factor));
                }

                PackPlainly(source + (r * stride), stride, 4, whole, cols, panel + r, panelRows, factor);
            }
        }

        PackPlainly(source + (r * stride), stride, rows - r, 0, cols, panel + r, panelRows, factor);
    }

    private static void PackPlainly(float* source, long stride, int rows, int start, int cols, float* panel, int panelRows, float factor)
    {
        for (int r = 0; r < rows; r++)
        {
            float* from = source + (r * stride);
            for (int c = start; c < cols; c++)
            {
                panel[((long)c * panelRows) + r] = from[c] * factor;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose8(float* source, long stride, float* to, long toStride, Vector256<float> factor)
    {
        // Halves of rows r and r + 4 are joined while loading; two rounds of interleaving then finish both 4 x 4 blocks at once.
        Vector256<float> a0 = Join(source, stride, 0, 0), a1 = Join(source, stride, 1, 0), a2 = Join(source, stride, 2, 0), a3 = Join(source, stride, 3, 0);
        Interleave(a0, a1, a2, a3, to, toStride, factor);
        Vector256<float> b0 = Join(source, stride, 0, 4), b1 = Join(source, stride, 1, 4), b2 = Join(source, stride, 2, 4), b3 = Join(source, stride, 3, 4);
        Interleave(b0, b1, b2, b3, to + (4 * toStride), toStride, factor);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Join(float* source, long stride, int row, int col) =>
        Vector256.Create(Vector128.Load(source + (row * stride) + col), Vector128.Load(source + ((row + 4) * stride) + col));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Interleave(
        Vector256<float> r0, Vector256<float> r1, Vector256<float> r2, Vector256<float> r3, float* to, long stride, Vector256<float> factor)
    {
        Vector256<float> low01 = Avx.UnpackLow(r0, r1), low23 = Avx.UnpackLow(r2, r3);
        Vector256<float> high01 = Avx.UnpackHigh(r0, r1), high23 = Avx.UnpackHigh(r2, r3);
        Vector256.Store(Avx.Shuffle(low01, low23, 0b01_00_01_00) * factor, to);
        Vector256.Store(Avx.Shuffle(low01, low23, 0b11_10_11_10) * factor, to + stride);
        Vector256.Store(Avx.Shuffle(high01, high23, 0b01_00_01_00) * factor, to + (2 * stride));
        Vector256.Store(Avx.Shuffle(high01, high23, 0b11_10_11_10) * factor, to + (3 * stride));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose4(float* source, long stride, float* to, long toStride, Vector128<float> factor)
    {
        Vector128<float> r0 = Vector128.Load(source), r1 = Vector128.Load(source + stride);
        Vector128<float> r2 = Vector128.Load(source + (2 * stride)), r3 = Vector128.Load(source + (3 * stride));
        Vector128<float> low01 = Sse.UnpackLow(r0, r1), low23 = Sse.UnpackLow(r2, r3);
        Vector128<float> high01 = Sse.UnpackHigh(r0, r1), high23 = Sse.UnpackHigh(r2, r3);
        Vector128.Store(Sse.Shuffle(low01, low23, 0b01_00_01_00) * factor, to);
        Vector128.Store(Sse.Shuffle(low01, low23, 0b11_10_11_10) * factor, to + toStride);
        Vector128.Store(Sse.Shuffle(high01, high23, 0b01_00_01_00) * factor, to + (2 * toStride));
        Vector128.Store(Sse.Shuffle(high01, high23, 0b11_10_11_10) * factor, to + (3 * toStride));
    }
}
