using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>
/// attention. Keys and values are packed once into panels; then each task takes a block of queries of one head through all keys, block by
/// block: scores by the matrix kernel, running maximum and sum, probabilities, and the matrix kernel again.
/// Floor: 4 B H Lq Lk Dh operations over the measured multiply-add peak. The softmax adds some 15 instructions per vector of scores,
/// against 2 Dh multiply-adds.
/// </summary>
internal static unsafe class AttentionKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Packs a block of keys and values of one pair.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Pack(void* pointer, int task, int worker)
    {
        ref AttentionArguments a = ref *(AttentionArguments*)pointer;
        int pair = task / a.KeyBlocks, first = task % a.KeyBlocks * AttentionArguments.KeyBlock;
        int batch = (a.FirstPair + pair) / a.Heads, head = (a.FirstPair + pair) % a.Heads * a.HeadWidth;
        int end = Math.Min(a.KeyRows, first + AttentionArguments.KeyBlock);
        float* keys = a.Packed + (pair * a.PairFloats), values = keys + a.KeyFloats;
        long stride = a.KeyRows > 1 ? a.K.Row(0, 1) - a.K.Row(0, 0) : 0;
        for (int k = first; k < end; k += a.KeyWidth)
        {
            InputPanels.Pack(a.K.Row(batch, k) + head, stride, Math.Min(a.KeyWidth, end - k), a.HeadWidth, keys + ((long)k * a.HeadWidth), a.KeyWidth);
        }

        for (int k = first; k < end; k++)
        {
            float* from = a.V.Row(batch, k) + head;
            for (int c = 0; c < a.PaddedWidth; c += a.ValueWidth)
            {
                float* to = values + ((long)c * a.KeyRows) + ((long)k * a.ValueWidth);
                int count = Math.Min(a.ValueWidth, a.HeadWidth - c);
                if (count == a.ValueWidth)
                {
                    TSimd.Store(to, TSimd.Load(from + c));
                    TSimd.Store(to + TSimd.Width, TSimd.Load(from + c + TSimd.Width));
                    continue;
                }

                for (int i = 0; i < a.ValueWidth; i++)
                {
                    to[i] = i < count ? from[c + i] : 0;
                }
            }
        }
    }

    /// <summary>A block of queries of one pair against all keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Attend(void* pointer, int task, int worker)
    {
        ref AttentionArguments a = ref *(AttentionArguments*)pointer;
        int pair = task / a.QueryBlocks, first = task % a.QueryBlocks * AttentionArguments.QueryBlock;
        int batch = (a.FirstPair + pair) / a.Heads, head = (a.FirstPair + pair) % a.Heads * a.HeadWidth;
        int rows = Math.Min(AttentionArguments.QueryBlock, a.QueryRows - first);
        float* keys = a.Packed + (pair * a.PairFloats), values = keys + a.KeyFloats;
        float* queries = (float*)(a.Scratch + (worker * a.ScratchPerWorker));
        float* results = queries + ((long)AttentionArguments.QueryBlock * a.HeadWidth);
        float* scores = results + ((long)AttentionArguments.QueryBlock * a.PaddedWidth);
        float* maxima = scores + (TSimd.TileRows * AttentionArguments.KeyBlock), sums = maxima + AttentionArguments.QueryBlock;
        long stride = a.QueryRows > 1 ? a.Q.Row(0, 1) - a.Q.Row(0, 0) : 0;
        for (int r = 0; r < rows; r += TSimd.TileRows)
        {
            float* from = a.Q.Row(batch, first + r) + head;
            InputPanels.Pack(from, stride, Math.Min(TSimd.TileRows, rows - r), a.HeadWidth, queries + ((long)r * a.HeadWidth), TSimd.TileRows, a.Factor);
        }

        new Span<float>(results, rows * a.PaddedWidth).Clear();
        new Span<float>(maxima, rows).Fill(float.NegativeInfinity);
        new Span<float>(sums, rows).Clear();
        for (int k = 0; k < a.KeyRows; k += AttentionArguments.KeyBlock)
        {
            int count = Math.Min(AttentionArguments.KeyBlock, a.KeyRows - k);
            for (int r = 0; r < rows; r += TSimd.TileRows)
            {
                AttendTile(
                    ref a, queries + ((long)r * a.HeadWidth), Math.Min(TSimd.TileRows, rows - r), keys + ((long)k * a.HeadWidth), values
                        + ((long)k * a.ValueWidth),
                    count, scores, maxima + r, sums + r, results + ((long)r * a.PaddedWidth));
            }
        }

        for (int r = 0; r < rows; r++)
        {
            WriteRow(results + ((long)r * a.PaddedWidth), 1 / sums[r], a.O.Row(batch, first + r) + head, a.HeadWidth);
        }
    }

    /// <summary>A tile of queries against one block of keys.</summary>
    private static void AttendTile(
        ref AttentionArguments a, float* queries, int rows, float* keys, float* values, int count, float* scores, float* maxima, float* sums, float* results)
    {
        var multiplyKeys = MicroKernel<TSimd, TVector, TWide>.Linear<F32Element>(rows);
        for (int k = 0; k < count; k += a.KeyWidth)
        {
            multiplyKeys(queries, (byte*)(keys + ((long)k * a.HeadWidth)), scores + k, AttentionArguments.KeyBlock, a.HeadWidth, null, false, (byte*)queries,
                0);
        }

        // Results so far shrink by 2^(old maximum - new maximum): 16 floats hold the factors of a tile for every vector width.
        float* factors = stackalloc float[16];
        new Span<float>(factors, 16).Clear();
        for (int r = 0; r < rows; r++)
        {
            factors[r] = Softmax(scores + (r * AttentionArguments.KeyBlock), count, ref maxima[r]);
        }

        for (int r = 0; r < rows; r += TSimd.Width)
        {
            TSimd.Store(factors + r, VectorMath<TSimd, TVector, TWide>.Exp2(TSimd.Load(factors + r)));
        }

        for (int r = 0; r < rows; r++)
        {
            sums[r] = (sums[r] * factors[r]) + RowSum(scores + (r * AttentionArguments.KeyBlock), count);
        }

        var multiplyValues = Values(rows);
        for (int c = 0; c < a.PaddedWidth; c += a.ValueWidth)
        {
            multiplyValues(scores, (byte*)(values + ((long)c * a.KeyRows)), results + c, a.PaddedWidth, count, factors, true, (byte*)scores, 0);
        }
    }

    /// <summary>Turns scores into 2^(score - maximum).</summary>
    /// <returns>Old maximum minus new.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Softmax(float* scores, int count, ref float maximum)
    {
        int whole = (count + TSimd.Width - 1) / TSimd.Width * TSimd.Width;
        for (int i = count; i < whole; i++)
        {
            scores[i] = float.NegativeInfinity;
        }

        TVector m0 = TSimd.Create(maximum), m1 = m0;
        int c = 0;
        for (; c <= whole - (2 * TSimd.Width); c += 2 * TSimd.Width)
        {
            m0 = TSimd.Max(m0, TSimd.Load(scores + c));
            m1 = TSimd.Max(m1, TSimd.Load(scores + c + TSimd.Width));
        }

        if (c < whole)
        {
            m0 = TSimd.Max(m0, TSimd.Load(scores + c));
        }

        float next = TSimd.MaxAcross(TSimd.Max(m0, m1));
        float change = maximum - next;
        maximum = next;

        // A row whose scores are all -inf so far: subtracting 0 keeps its probabilities 0, where -inf - -inf would be NaN.
        bool nothing = float.IsNegativeInfinity(next);
        TVector shift = TSimd.Create(nothing ? 0 : next);
        for (c = 0; c < whole; c += TSimd.Width)
        {
            TSimd.Store(scores + c, VectorMath<TSimd, TVector, TWide>.Exp2(TSimd.Subtract(TSimd.Load(scores + c), shift)));
        }

        return nothing ? 0 : change;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float RowSum(float* x, int count)
    {
        TVector s0 = TSimd.Zero, s1 = TSimd.Zero, s2 = TSimd.Zero, s3 = TSimd.Zero;
        int i = 0;
        for (; i <= count - (4 * TSimd.Width); i += 4 * TSimd.Width)
        {
            s0 = TSimd.Add(s0, TSimd.Load(x + i));
            s1 = TSimd.Add(s1, TSimd.Load(x + i + TSimd.Width));
            s2 = TSimd.Add(s2, TSimd.Load(x + i + (2 * TSimd.Width)));
            s3 = TSimd.Add(s3, TSimd.Load(x + i + (3 * TSimd.Width)));
        }

        // Beyond count lie zeros, up to a whole vector.
        for (; i < count; i += TSimd.Width)
        {
            s0 = TSimd.Add(s0, TSimd.Load(x + i));
        }

        return TSimd.Sum(TSimd.Add(TSimd.Add(s0, s1), TSimd.Add(s2, s3)));
    }

    private static void WriteRow(float* from, float factor, float* to, int width)
    {
        TVector f = TSimd.Create(factor);
        int i = 0;
        for (; i <= width - TSimd.Width; i += TSimd.Width)
        {
            TSimd.Store(to + i, TSimd.Multiply(TSimd.Load(from + i), f));
        }

        for (; i < width; i++)
        {
            to[i] = from[i] * factor;
        }
    }

    private static delegate*<float*, byte*, float*, long, int, float*, bool, byte*, long, void> Values(int rows) => rows switch
    {
        1 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows1>, F32Element>,
        2 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows2>, F32Element>,
        3 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows3>, F32Element>,
        4 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows4>, F32Element>,
        5 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows5>, F32Element>,
        6 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows6>, F32Element>,
        7 => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows7>, F32Element>,
        _ => &MicroKernel<TSimd, TVector, TWide>.Multiply<ValueTile<Rows8>, F32Element>,
    };
}
