using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

internal struct QkNormRopeArguments
{
    internal Operand Q, K, QueryScale, KeyScale, Cos, Sin;
    internal bool QueryPerRow, KeyPerRow;
    internal int Cols, HeadWidth, RopeRows;
    internal float Epsilon;
    internal RowTasks QueryTasks, KeyTasks;
}

/// <summary>qk_norm_rope, in place. Floor: q and k read and written once, 16 B L D bytes over the memory bandwidth.</summary>
internal static unsafe class RopeKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Tasks of the queries first, then those of the keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void QkNormRope(void* pointer, int task, int worker)
    {
        ref QkNormRopeArguments a = ref *(QkNormRopeArguments*)pointer;
        bool keys = task >= a.QueryTasks.Count;
        RowTasks tasks = keys ? a.KeyTasks : a.QueryTasks;
        Operand x = keys ? a.K : a.Q;
        float* scale = (keys ? a.KeyScale : a.QueryScale).Row(0, 0);
        bool perRow = keys ? a.KeyPerRow : a.QueryPerRow;
        (int start, int end) = tasks.Range(keys ? task - a.QueryTasks.Count : task);
        float* turns = stackalloc float[2 * a.HeadWidth];
        for (int i = start; i < end; i++)
        {
            int batch = i / tasks.Rows, row = i % tasks.Rows;
            bool rotate = row < a.RopeRows;
            if (rotate)
            {
                SpreadTurns(a.Cos.Row(batch, row), a.Sin.Row(batch, row), turns, a.HeadWidth);
            }

            float* line = x.Row(batch, row);
            float inverse = perRow ? Inverse(line, a.Cols, a.Epsilon) : 0;
            for (int head = 0; head < a.Cols; head += a.HeadWidth)
            {
                inverse = perRow ? inverse : Inverse(line + head, a.HeadWidth, a.Epsilon);
                ScaleAndTurn(line + head, perRow ? scale + head : scale, inverse, rotate ? turns : null, a.HeadWidth);
            }
        }
    }

    private static float Inverse(float* x, int count, float epsilon) =>
        (float)(1 / Math.Sqrt((NormKernels<TSimd, TVector, TWide>.SumSquares(x, count, 0) / count) + epsilon));

    /// <summary>Writes each cosine twice, then each sine as (-sin, sin): the layout that one multiply and one multiply-add per vector need.</summary>
    private static void SpreadTurns(float* cos, float* sin, float* turns, int width)
    {
        for (int i = 0; i < width / 2; i++)
        {
            turns[2 * i] = turns[(2 * i) + 1] = cos[i];
            turns[width + (2 * i)] = -sin[i];
            turns[width + (2 * i) + 1] = sin[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ScaleAndTurn(float* x, float* scale, float inverse, float* turns, int width)
    {
        int i = 0;
        if (TSimd.Width > 1)
        {
            TVector factor = TSimd.Create(inverse);
            for (; i <= width - TSimd.Width; i += TSimd.Width)
            {
                TVector v = TSimd.Multiply(TSimd.Multiply(TSimd.Load(x + i), factor), TSimd.Load(scale + i));
                if (turns != null)
                {
                    TVector turned = TSimd.Multiply(TSimd.SwapPairs(v), TSimd.Load(turns + width + i));
                    v = TSimd.MultiplyAdd(v, TSimd.Load(turns + i), turned);
                }

                TSimd.Store(x + i, v);
            }
        }

        if (turns == null)
        {
            for (; i < width; i++)
            {
                x[i] = x[i] * inverse * scale[i];
            }

            return;
        }

        for (; i < width; i += 2)
        {
            float first = x[i] * inverse * scale[i], second = x[i + 1] * inverse * scale[i + 1];
            x[i] = (first * turns[i]) + (second * turns[width + i]);
            x[i + 1] = (second * turns[i + 1]) + (first * turns[width + i + 1]);
        }
    }
}
