using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Simd;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>Inputs of the DiCache probe beside the probe output itself.</summary>
internal struct ProbeOperands
{
    internal Operand PreviousProbe, Input, PreviousInput, Older, Newer;

    internal static ProbeOperands Of(in ProbeInputs inputs) => new()
    {
        PreviousProbe = Operand.Of(inputs.PreviousProbe),
        Input = Operand.Of(inputs.Input),
        PreviousInput = Operand.Of(inputs.PreviousInput),
        Older = Operand.Of(inputs.OlderProbeResidual),
        Newer = Operand.Of(inputs.NewerProbeResidual),
    };
}

internal unsafe struct ProbeArguments
{
    internal Operand Probe;
    internal ProbeOperands Others;
    internal double* RowSums;
    internal int Cols;
    internal RowTasks Tasks;
}

internal unsafe struct SumArguments
{
    internal Operand X;
    internal double* RowSums;
    internal int Sum, Cols;
    internal RowTasks Tasks;
}

internal struct BlendArguments
{
    internal Operand Input, Newer, Older, Into, NormOutput;
    internal NormOperands Norm;
    internal float Gamma;
    internal int Cols;
    internal RowTasks Tasks;
}

/// <summary>
/// probe_l1 and trajectory_blend. One definition of the sums for all forms: each difference is rounded to binary32, its absolute value is
/// added to a double lane (element i to lane i modulo the vector width), the lanes of a row are added in a fixed order, and the rows one
/// after another. So the forms, and any number of threads, give the same bits.
/// Floor: fused 24 B L D bytes for all six sums, 16 B L D for the blend, over the memory bandwidth.
/// </summary>
internal static unsafe class ProbeKernels<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    internal static void Fused(void* pointer, int task, int worker)
    {
        ref ProbeArguments a = ref *(ProbeArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;
            SumRow(a.Others, a.Probe.Row(batch, row), batch, row, a.Cols, a.RowSums + ((long)i * ProbeSums.Count));
        }
    }

    /// <summary>Sums of rows that hold absolute values already: the last step of the unfused form.</summary>
    internal static void Sum(void* pointer, int task, int worker)
    {
        ref SumArguments a = ref *(SumArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            a.RowSums[((long)i * ProbeSums.Count) + a.Sum] = SumAbs(a.X.Row(i / a.Tasks.Rows, i % a.Tasks.Rows), a.Cols);
        }
    }

    internal static void Blend(void* pointer, int task, int worker)
    {
        ref BlendArguments a = ref *(BlendArguments*)pointer;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int batch = i / a.Tasks.Rows, row = i % a.Tasks.Rows;

            // Without a place of its own the blended row is made where its norm goes.
            float* into = a.Into.IsEmpty ? a.NormOutput.Row(batch, row) : a.Into.Row(batch, row);
            BlendRow(a.Input.Row(batch, row), a.Newer.Row(batch, row), a.Older.Row(batch, row), a.Gamma, into, a.Cols);
            if (!a.NormOutput.IsEmpty)
            {
                NormKernels<TSimd, TVector, TWide>.NormRow(into, a.Norm, batch, a.NormOutput.Row(batch, row), a.Cols);
            }
        }
    }

    /// <summary>The six sums of one row; those whose inputs are missing are 0.</summary>
    internal static void SumRow(in ProbeOperands o, float* probe, int batch, int row, int cols, double* sums)
    {
        float* input = o.Input.Row(batch, row);
        float* previousProbe = o.PreviousProbe.Row(batch, row), previousInput = o.PreviousInput.Row(batch, row), older = o.Older.Row(batch, row);
        new Span<double>(sums, ProbeSums.Count).Clear();
        if (previousProbe != null)
        {
            ChangeAndPrevious(probe, previousProbe, cols, sums);
        }

        if (previousInput != null)
        {
            ChangeAndPrevious(input, previousInput, cols, sums + 2);
        }

        if (older != null)
        {
            GammaSums(probe, input, older, o.Newer.Row(batch, row), cols, sums + 4);
        }
    }

    /// <summary>sum |now - previous| and sum |previous|.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ChangeAndPrevious(float* now, float* previous, int cols, double* sums)
    {
        TWide changeLow = TSimd.ZeroWide, changeHigh = TSimd.ZeroWide, normLow = TSimd.ZeroWide, normHigh = TSimd.ZeroWide;
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector p = TSimd.Load(previous + i);
            TSimd.AddWide(ref changeLow, ref changeHigh, TSimd.Abs(TSimd.Subtract(TSimd.Load(now + i), p)));
            TSimd.AddWide(ref normLow, ref normHigh, TSimd.Abs(p));
        }

        if (i < cols)
        {
            float* buffer = stackalloc float[TSimd.Width];
            TVector p = Rows<TSimd, TVector, TWide>.LoadPart(previous + i, cols - i, buffer);
            TVector n = Rows<TSimd, TVector, TWide>.LoadPart(now + i, cols - i, buffer);
            TSimd.AddWide(ref changeLow, ref changeHigh, TSimd.Abs(TSimd.Subtract(n, p)));
            TSimd.AddWide(ref normLow, ref normHigh, TSimd.Abs(p));
        }

        sums[0] = TSimd.SumWide(changeLow, changeHigh);
        sums[1] = TSimd.SumWide(normLow, normHigh);
    }

    /// <summary>sum |(probe - input) - older| and sum |newer - older|.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void GammaSums(float* probe, float* input, float* older, float* newer, int cols, double* sums)
    {
        TWide topLow = TSimd.ZeroWide, topHigh = TSimd.ZeroWide, bottomLow = TSimd.ZeroWide, bottomHigh = TSimd.ZeroWide;
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector r2 = TSimd.Load(older + i);
            TVector now = TSimd.Subtract(TSimd.Load(probe + i), TSimd.Load(input + i));
            TSimd.AddWide(ref topLow, ref topHigh, TSimd.Abs(TSimd.Subtract(now, r2)));
            if (newer != null)
            {
                TSimd.AddWide(ref bottomLow, ref bottomHigh, TSimd.Abs(TSimd.Subtract(TSimd.Load(newer + i), r2)));
            }
        }

        if (i < cols)
        {
            float* buffer = stackalloc float[TSimd.Width];
            TVector r2 = Rows<TSimd, TVector, TWide>.LoadPart(older + i, cols - i, buffer);
            TVector p = Rows<TSimd, TVector, TWide>.LoadPart(probe + i, cols - i, buffer);
            TVector now = TSimd.Subtract(p, Rows<TSimd, TVector, TWide>.LoadPart(input + i, cols - i, buffer));
            TSimd.AddWide(ref topLow, ref topHigh, TSimd.Abs(TSimd.Subtract(now, r2)));
            if (newer != null)
            {
                TVector r1 = Rows<TSimd, TVector, TWide>.LoadPart(newer + i, cols - i, buffer);
                TSimd.AddWide(ref bottomLow, ref bottomHigh, TSimd.Abs(TSimd.Subtract(r1, r2)));
            }
        }

        sums[0] = TSimd.SumWide(topLow, topHigh);
        sums[1] = TSimd.SumWide(bottomLow, bottomHigh);
    }

    /// <summary>sum |x| of a row, in the order of the fused sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SumAbs(float* x, int cols)
    {
        TWide low = TSimd.ZeroWide, high = TSimd.ZeroWide;
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TSimd.AddWide(ref low, ref high, TSimd.Abs(TSimd.Load(x + i)));
        }

        if (i < cols)
        {
            float* buffer = stackalloc float[TSimd.Width];
            TSimd.AddWide(ref low, ref high, TSimd.Abs(Rows<TSimd, TVector, TWide>.LoadPart(x + i, cols - i, buffer)));
        }

        return TSimd.SumWide(low, high);
    }

    /// <summary>into = x + (r2 + gamma (r1 - r2)), or x + r1; every operation is rounded, as in the unfused form.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void BlendRow(float* x, float* newer, float* older, float gamma, float* into, int cols)
    {
        TVector g = TSimd.Create(gamma);
        int i = 0;
        for (; i <= cols - TSimd.Width; i += TSimd.Width)
        {
            TVector residual = TSimd.Load(newer + i);
            if (older != null)
            {
                TVector r2 = TSimd.Load(older + i);
                residual = TSimd.Add(r2, TSimd.Multiply(g, TSimd.Subtract(residual, r2)));
            }

            TSimd.Store(into + i, TSimd.Add(TSimd.Load(x + i), residual));
        }

        for (; i < cols; i++)
        {
            into[i] = x[i] + (older == null ? newer[i] : older[i] + (gamma * (newer[i] - older[i])));
        }
    }
}
