using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>What an element-wise operation computes.</summary>
internal enum ElementOp
{
    /// <summary>a - b.</summary>
    Subtract,

    /// <summary>a + b.</summary>
    Add,

    /// <summary>a + factor * b.</summary>
    AddScaled,

    /// <summary>b + factor * (a - b).</summary>
    Guide,

    /// <summary>factor * a.</summary>
    Scale,

    /// <summary>|a|.</summary>
    Abs,

    /// <summary>a.</summary>
    Copy,
}

internal struct ElementArguments
{
    internal ElementOp Op;
    internal Operand A, B, Into;
    internal float Factor;
    internal int Cols;
    internal RowTasks Tasks;
}

internal struct ActivateArguments
{
    internal Operand X, Y;
    internal Rows16 X16, Y16;
    internal Epilogue Activation;
    internal int Cols;
    internal RowTasks Tasks;
}

/// <summary>Rows of bfloat16.</summary>
internal readonly unsafe struct Rows16(nint data, long batchStride, long rowStride)
{
    internal bool IsEmpty => data == 0;

    internal ushort* Row(int batch, int row) => (ushort*)data + (batch * batchStride) + (row * rowStride);
}

internal struct MeanArguments
{
    internal Operand X, Y;
    internal int Rows, Cols, ColumnBlocks;
}

/// <summary>Element-wise operations. Products and sums are rounded one by one, as a tensor framework does. Floor: bytes over the bandwidth.</summary>
internal static unsafe class ElementKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : unmanaged
{
    /// <summary>Columns that one task of <see cref="MeanRows"/> adds up: a few cache lines of each row.</summary>
    internal const int MeanColumns = 128;

    internal static void Elements(void* pointer, int task, int worker)
    {
        ref ElementArguments a = ref *(ElementArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;
            Row(a.Op, a.A.Row(batch, row), a.B.Row(batch, row), a.Factor, a.Into.Row(batch, row), a.Cols);
        }
    }

    internal static void Activate(void* pointer, int task, int worker)
    {
        const int chunk = 256;
        ref ActivateArguments a = ref *(ActivateArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        float* buffer = stackalloc float[chunk];
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;
            float* x = a.X.Row(batch, row), y = a.Y.Row(batch, row);
            if (x != null && y != null)
            {
                VectorMath<TSimd, TVector, TWide>.ApplyRow(x, y, a.Cols, a.Activation);
                continue;
            }

            for (int c = 0; c < a.Cols; c += chunk)
            {
                int count = Math.Min(chunk, a.Cols - c);
                float* from = x + c, to = y == null ? buffer : y + c;
                if (x == null)
                {
                    Bf16Rows.Widen(a.X16.Row(batch, row) + c, buffer, count);
                    from = buffer;
                }

                VectorMath<TSimd, TVector, TWide>.ApplyRow(from, to, count, a.Activation);
                if (y == null)
                {
                    Bf16Rows.Round(buffer, a.Y16.Row(batch, row) + c, count);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void MeanRows(void* pointer, int task, int worker)
    {
        ref MeanArguments a = ref *(MeanArguments*)pointer;
        int batch = task / a.ColumnBlocks, first = task % a.ColumnBlocks * MeanColumns;
        int cols = Math.Min(MeanColumns, a.Cols - first), whole = cols - (cols % TSimd.Width);
        TWide* low = stackalloc TWide[MeanColumns], high = stackalloc TWide[MeanColumns];
        double* rest = stackalloc double[TSimd.Width];
        for (int v = 0; v < MeanColumns; v++)
        {
            low[v] = high[v] = TSimd.ZeroWide;
        }

        new Span<double>(rest, TSimd.Width).Clear();
        for (int r = 0; r < a.Rows; r++)
        {
            float* x = a.X.Row(batch, r) + first;
            for (int c = 0, v = 0; c < whole; c += TSimd.Width, v++)
            {
                TSimd.AddWide(ref low[v], ref high[v], TSimd.Load(x + c));
            }

            for (int c = whole; c < cols; c++)
            {
                rest[c - whole] += x[c];
            }
        }

        float* y = a.Y.Row(batch, 0) + first;
        int half = Math.Max(1, TSimd.Width / 2);
        for (int c = 0; c < cols; c++)
        {
            int v = c / TSimd.Width, lane = c % TSimd.Width;
            double sum = c >= whole ? rest[c - whole] : lane < half ? ((double*)(low + v))[lane] : ((double*)(high + v))[lane - half];
            y[c] = (float)(sum / a.Rows);
        }
    }

    /// <summary>One row of an element-wise operation.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Row(ElementOp op, float* a, float* b, float factor, float* into, int cols)
    {
        if (op == ElementOp.Copy)
        {
            Buffer.MemoryCopy(a, into, (long)cols * sizeof(float), (long)cols * sizeof(float));
            return;
        }

        TVector f = TSimd.Create(factor);
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector x = TSimd.Load(a + i);
            TSimd.Store(into + i, op switch
            {
                ElementOp.Subtract => TSimd.Subtract(x, TSimd.Load(b + i)),
                ElementOp.Add => TSimd.Add(x, TSimd.Load(b + i)),
                ElementOp.AddScaled => TSimd.Add(x, TSimd.Multiply(f, TSimd.Load(b + i))),
                ElementOp.Guide => TSimd.Add(TSimd.Load(b + i), TSimd.Multiply(f, TSimd.Subtract(x, TSimd.Load(b + i)))),
                ElementOp.Scale => TSimd.Multiply(f, x),
                _ => TSimd.Abs(x),
            });
        }

        for (; i < cols; i++)
        {
            into[i] = op switch
            {
                ElementOp.Subtract => a[i] - b[i],
                ElementOp.Add => a[i] + b[i],
                ElementOp.AddScaled => a[i] + (factor * b[i]),
                ElementOp.Guide => b[i] + (factor * (a[i] - b[i])),
                ElementOp.Scale => factor * a[i],
                _ => MathF.Abs(a[i]),
            };
        }
    }
}
