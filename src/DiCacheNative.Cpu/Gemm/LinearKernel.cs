using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Simd;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>A linear layer by our own kernels: one task of the grid.</summary>
/// <remarks>
/// Floor: 2 M N K operations over the measured multiply-add peak; for few rows, the bytes of the weight over the memory bandwidth.
/// Packing the inputs costs about a third of a cycle per element and task, against <see cref="LinearArguments"/>' 384 columns per task
/// (24 cycles with 16 lanes), i.e. 1-2 %.
/// </remarks>
internal static unsafe class LinearKernel<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Bytes of scratch per worker: packed inputs, one widened panel, one tile.</summary>
    internal static long ScratchBytes
    {
        get
        {
            long floats = ((long)(LinearArguments.RowsPerTask + (3 * TSimd.Width)) * LinearArguments.StepsPerPass) + (TSimd.TileRows * 3 * TSimd.Width);
            return ((floats * sizeof(float)) + 4095) & ~4095L;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Run(void* pointer, int task, int worker)
    {
        ref LinearArguments g = ref *(LinearArguments*)pointer;
        g.Locate(task, out int matrix, out int firstRow, out int rows, out int firstPanel, out int panels);
        float* x = g.X + (matrix * g.XMatrix) + (firstRow * g.XStride);
        float* y = g.Y + (matrix * g.YMatrix) + (firstRow * g.YStride);
        float* inputs = (float*)(g.Scratch + (worker * g.ScratchPerWorker));
        float* widened = inputs + (LinearArguments.RowsPerTask * LinearArguments.StepsPerPass);
        float* tile = widened + (3 * TSimd.Width * LinearArguments.StepsPerPass);
        int size = g.WeightType.Size(), width = g.PanelWidth;

        // Widening a panel once serves all tiles of the task; with a single tile it would only add a pass.
        bool widen = g.WeightType != DType.F32 && rows > TSimd.TileRows;
        for (int k = 0; k < g.K; k += LinearArguments.StepsPerPass)
        {
            int steps = Math.Min(LinearArguments.StepsPerPass, g.K - k);
            for (int r = 0; r < rows; r += TSimd.TileRows)
            {
                InputPanels.Pack(x + (r * g.XStride) + k, g.XStride, Math.Min(TSimd.TileRows, rows - r), steps, inputs + ((long)r * steps), TSimd.TileRows);
            }

            for (int p = firstPanel; p < firstPanel + panels; p++)
            {
                byte* weights = g.Weight + ((((long)p * g.K) + k) * width * size);
                if (widen)
                {
                    Widen(weights, widened, steps * width, g.WeightType);
                    weights = (byte*)widened;
                }

                MultiplyPanel(ref g, inputs, rows, steps, weights, widen ? DType.F32 : g.WeightType, y, p * width, k, tile);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyPanel(
        ref LinearArguments g, float* inputs, int rows, int steps, byte* weights, DType type, float* y, int column, int k, float* tile)
    {
        int width = g.PanelWidth, cols = Math.Min(width, g.N - column);
        bool last = k + steps == g.K;
        float* bias = last && g.Bias != null ? g.Bias + column : null;
        for (int r = 0; r < rows; r += TSimd.TileRows)
        {
            int count = Math.Min(TSimd.TileRows, rows - r);
            float* c = y + (r * g.YStride) + column;
            float* into = cols == width ? c : tile;
            long stride = cols == width ? g.YStride : width;
            if (into == tile && k > 0)
            {
                Copy(c, g.YStride, tile, width, count, cols);
            }

            Kernel(type, count)(inputs + ((long)r * steps), weights, into, stride, steps, bias, k > 0);
            if (last && g.Epilogue != Epilogue.None)
            {
                for (int i = 0; i < count; i++)
                {
                    VectorMath<TSimd, TVector, TWide>.ApplyRow(into + (i * stride), into + (i * stride), cols, g.Epilogue);
                }
            }

            if (into == tile)
            {
                Copy(tile, width, c, g.YStride, count, cols);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static delegate*<float*, byte*, float*, long, int, float*, bool, void> Kernel(DType type, int rows) => type switch
    {
        DType.F32 => MicroKernel<TSimd, TVector, TWide>.Linear<F32Element>(rows),
        DType.BF16 => MicroKernel<TSimd, TVector, TWide>.Linear<Bf16Element>(rows),
        _ => MicroKernel<TSimd, TVector, TWide>.Linear<F16Element>(rows),
    };

    private static void Copy(float* from, long fromStride, float* to, long toStride, int rows, int cols)
    {
        for (int r = 0; r < rows; r++)
        {
            for (int c = 0; c < cols; c++)
            {
                to[(r * toStride) + c] = from[(r * fromStride) + c];
            }
        }
    }

    /// <summary>Widens 16-bit weights; the count is a multiple of the vector width.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Widen(byte* from, float* to, long count, DType type)
    {
        ushort* source = (ushort*)from;
        if (type == DType.BF16)
        {
            for (long i = 0; i < count; i += TSimd.Width)
            {
                TSimd.Store(to + i, TSimd.LoadBf16(source + i));
            }
        }
        else
        {
            for (long i = 0; i < count; i += TSimd.Width)
            {
                TSimd.Store(to + i, TSimd.LoadF16(source + i));
            }
        }
    }
}
