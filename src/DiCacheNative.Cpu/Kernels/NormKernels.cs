using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>An affine map after a norm, as the kernels read it.</summary>
internal readonly struct NormOperands(Operand shift, Operand scale, float offset, float epsilon)
{
    internal readonly Operand Shift = shift, Scale = scale;
    internal readonly float Offset = offset, Epsilon = epsilon;
}

internal struct LayerNormArguments
{
    internal Operand X, Y;
    internal NormOperands Norm;
    internal int Cols;
    internal RowTasks Tasks;
}

/// <summary>
/// layer_norm_modulate. Two passes over the row for mean and variance, a third to write; the row stays in the first-level cache.
/// Floor: x read and y written once, 8 B L D bytes over the memory bandwidth.
/// </summary>
internal static unsafe class NormKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    // Sums in binary32 lanes are moved to a double after this many vectors, so that rounding does not grow with the width of the row.
    private const int VectorsPerPartialSum = 64;

    internal static void LayerNormModulate(void* pointer, int task, int worker)
    {
        ref LayerNormArguments a = ref *(LayerNormArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;
            NormRow(a.X.Row(batch, row), a.Norm, batch, a.Y.Row(batch, row), a.Cols);
        }
    }

    /// <summary>y = (x - mean) / sqrt(variance + epsilon) * (offset + scale) + shift for one row; y may be x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void NormRow(float* x, in NormOperands norm, int batch, float* y, int cols)
    {
        float mean = (float)(Sum(x, cols) / cols);
        float inverse = (float)(1 / Math.Sqrt((SumSquares(x, cols, mean) / cols) + norm.Epsilon));
        float* shift = norm.Shift.Row(batch, 0), scale = norm.Scale.Row(batch, 0);
        float offset = scale == null ? 1 : norm.Offset;
        TVector center = TSimd.Create(mean), factor = TSimd.Create(inverse), one = TSimd.Create(offset);
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector n = TSimd.Multiply(TSimd.Subtract(TSimd.Load(x + i), center), factor);
            TVector gain = scale == null ? one : TSimd.Add(one, TSimd.Load(scale + i));
            TSimd.Store(y + i, shift == null ? TSimd.Multiply(n, gain) : TSimd.MultiplyAdd(n, gain, TSimd.Load(shift + i)));
        }

        for (; i < cols; i++)
        {
            float n = (x[i] - mean) * inverse;
            y[i] = (n * (scale == null ? offset : offset + scale[i])) + (shift == null ? 0 : shift[i]);
        }
    }

    /// <summary>Sum of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double Sum(float* x, int count)
    {
        double total = 0;
        int i = 0;
        while (i <= count - TSimd.Width)
        {
            int end = Math.Min(count, i + (VectorsPerPartialSum * TSimd.Width));
            TVector s0 = TSimd.Zero, s1 = TSimd.Zero, s2 = TSimd.Zero, s3 = TSimd.Zero;
            for (; i <= end - (4 * TSimd.Width); i += 4 * TSimd.Width)
            {
                s0 = TSimd.Add(s0, TSimd.Load(x + i));
                s1 = TSimd.Add(s1, TSimd.Load(x + i + TSimd.Width));
                s2 = TSimd.Add(s2, TSimd.Load(x + i + (2 * TSimd.Width)));
                s3 = TSimd.Add(s3, TSimd.Load(x + i + (3 * TSimd.Width)));
            }

            for (; i <= end - TSimd.Width; i += TSimd.Width)
            {
                s0 = TSimd.Add(s0, TSimd.Load(x + i));
            }

            total += TSimd.Sum(TSimd.Add(TSimd.Add(s0, s1), TSimd.Add(s2, s3)));
        }

        for (; i < count; i++)
        {
            total += x[i];
        }

        return total;
    }

    /// <summary>Sum of (x - center)^2 over a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double SumSquares(float* x, int count, float center)
    {
        double total = 0;
        TVector c = TSimd.Create(center);
        int i = 0;
        while (i <= count - TSimd.Width)
        {
            int end = Math.Min(count, i + (VectorsPerPartialSum * TSimd.Width));
            TVector s0 = TSimd.Zero, s1 = TSimd.Zero, s2 = TSimd.Zero, s3 = TSimd.Zero;
            for (; i <= end - (4 * TSimd.Width); i += 4 * TSimd.Width)
            {
                TVector d0 = TSimd.Subtract(TSimd.Load(x + i), c), d1 = TSimd.Subtract(TSimd.Load(x + i + TSimd.Width), c);
                TVector d2 = TSimd.Subtract(TSimd.Load(x + i + (2 * TSimd.Width)), c), d3 = TSimd.Subtract(TSimd.Load(x + i + (3 * TSimd.Width)), c);
                s0 = TSimd.MultiplyAdd(d0, d0, s0);
                s1 = TSimd.MultiplyAdd(d1, d1, s1);
                s2 = TSimd.MultiplyAdd(d2, d2, s2);
                s3 = TSimd.MultiplyAdd(d3, d3, s3);
            }

            for (; i <= end - TSimd.Width; i += TSimd.Width)
            {
                TVector d = TSimd.Subtract(TSimd.Load(x + i), c);
                s0 = TSimd.MultiplyAdd(d, d, s0);
            }

            total += TSimd.Sum(TSimd.Add(TSimd.Add(s0, s1), TSimd.Add(s2, s3)));
        }

        for (; i < count; i++)
        {
            double d = x[i] - center;
            total += d * d;
        }

        return total;
    }
}
