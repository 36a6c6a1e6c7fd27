using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Simd;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>A linear layer by oneDNN: one task of the grid. Weights lie as [N, K]; 16-bit ones are widened per task, or used as they are.</summary>
internal static unsafe class OneDnnKernel<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Binary32 products. Scratch: the widened weights of a task.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void RunF32(void* pointer, int task, int worker)
    {
        ref LinearArguments g = ref *(LinearArguments*)pointer;
        g.Locate(task, out int firstRow, out int rows, out int firstPanel, out int panels);
        float* x = g.X + (firstRow * g.XStride);
        int column = firstPanel * g.PanelWidth, cols = Math.Min(panels * g.PanelWidth, g.N - column);
        float* y = g.Y + (firstRow * g.YStride) + column;
        byte* weights = g.Weight + ((long)column * g.K * g.WeightType.Size());
        if (g.WeightType != DType.F32)
        {
            float* widened = (float*)(g.Scratch + (worker * g.ScratchPerWorker));
            long count = (long)cols * g.K, whole = count - (count % TSimd.Width);
            LinearKernel<TSimd, TVector, TWide>.Widen(weights, widened, whole, g.WeightType);
            LinearKernel<Lanes1, float, double>.Widen(weights + (whole * sizeof(ushort)), widened + whole, count - whole, g.WeightType);
            weights = (byte*)widened;
        }

        Check(OneDnn.Library.Multiply(rows, cols, g.K, x, g.XStride, (float*)weights, y, g.YStride), rows, cols, g.K);
        Finish(ref g, y, rows, column, cols);
    }

    /// <summary>bfloat16 products. Scratch: the rounded inputs of a task.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void RunBf16(void* pointer, int task, int worker)
    {
        ref LinearArguments g = ref *(LinearArguments*)pointer;
        g.Locate(task, out int firstRow, out int rows, out int firstPanel, out int panels);
        float* x = g.X + (firstRow * g.XStride);
        int column = firstPanel * g.PanelWidth, cols = Math.Min(panels * g.PanelWidth, g.N - column);
        float* y = g.Y + (firstRow * g.YStride) + column;
        ushort* inputs = (ushort*)(g.Scratch + (worker * g.ScratchPerWorker));
        for (int r = 0; r < rows; r++)
        {
            Bf16Rows.Round(x + (r * g.XStride), inputs + ((long)r * g.K), g.K);
        }

        ushort* weights = (ushort*)g.Weight + ((long)column * g.K);
        Check(OneDnn.Library.MultiplyBf16(rows, cols, g.K, inputs, g.K, weights, y, g.YStride), rows, cols, g.K);
        Finish(ref g, y, rows, column, cols);
    }

    private static void Finish(ref LinearArguments g, float* y, int rows, int column, int cols)
    {
        if (g.Bias == null && g.Epilogue == Epilogue.None)
        {
            return;
        }

        for (int r = 0; r < rows; r++)
        {
            float* row = y + (r * g.YStride);
            if (g.Bias != null)
            {
                float* bias = g.Bias + column;
                int i = 0;
                for (; i <= cols - TSimd.Width; i += TSimd.Width)
                {
                    TSimd.Store(row + i, TSimd.Add(TSimd.Load(row + i), TSimd.Load(bias + i)));
                }

                for (; i < cols; i++)
                {
                    row[i] += bias[i];
                }
            }

            VectorMath<TSimd, TVector, TWide>.ApplyRow(row, row, cols, g.Epilogue);
        }
    }

    private static void Check(int status, int m, int n, int k)
    {
        if (status != 0)
        {
            throw new BackendException($"oneDNN returned status {status} for a product of {m} x {n} x {k}; choose the managed matrix engine");
        }
    }
}
