using System.Runtime.CompilerServices;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

internal unsafe struct ResidualArguments
{
    internal Operand X, Y, Gate, Into, Origin, Residual, NormOutput;
    internal NormOperands Norm;
    internal ProbeOperands Probe;
    internal double* RowSums;
    internal int Cols;
    internal RowTasks Tasks;
}

/// <summary>
/// gated_residual with its extras. Everything that is asked for is done to a row before the next row is touched, so each map moves
/// through memory once. Floor: 12 B L D bytes (x, y read, result written), 4 more for each further map read or written, over the bandwidth.
/// </summary>
internal static unsafe class ResidualKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    internal static void GatedResidual(void* pointer, int task, int worker)
    {
        ref ResidualArguments a = ref *(ResidualArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;
            float* into = a.Into.Row(batch, row);
            AddRow(a.X.Row(batch, row), a.Y.Row(batch, row), a.Gate.Row(batch, 0), into, a.Origin.Row(batch, row), a.Residual.Row(batch, row), a.Cols);
            if (a.RowSums != null)
            {
                ProbeKernels<TSimd, TVector, TWide>.SumRow(a.Probe, into, batch, row, a.Cols, a.RowSums + ((long)i * Backends.ProbeSums.Count));
            }

            if (!a.NormOutput.IsEmpty)
            {
                NormKernels<TSimd, TVector, TWide>.NormRow(into, a.Norm, batch, a.NormOutput.Row(batch, row), a.Cols);
            }
        }
    }

    /// <summary>into = x + gate y; residual = into - origin. Inputs of an element are read before its outputs are written.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddRow(float* x, float* y, float* gate, float* into, float* origin, float* residual, int cols)
    {
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector sum = TSimd.Load(y + i);
            sum = gate == null ? TSimd.Add(TSimd.Load(x + i), sum) : TSimd.MultiplyAdd(TSimd.Load(gate + i), sum, TSimd.Load(x + i));
            if (residual != null)
            {
                TVector difference = TSimd.Subtract(sum, TSimd.Load(origin + i));
                TSimd.Store(residual + i, difference);
            }

            TSimd.Store(into + i, sum);
        }

        for (; i < cols; i++)
        {
            float sum = gate == null ? x[i] + y[i] : x[i] + (gate[i] * y[i]);
            if (residual != null)
            {
                residual[i] = sum - origin[i];
            }

            into[i] = sum;
        }
    }
}
