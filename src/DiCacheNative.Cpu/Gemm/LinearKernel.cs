using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Simd;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>A linear layer by our own kernels: inputs packed into panels, before the tasks or by each; then each task multiplies its block.</summary>
/// <remarks>
/// Floor: 2 M N K operations over the measured multiply-add peak; for few rows, the bytes of the weight over the memory bandwidth.
/// The kernel alone, on cached operands, reaches 98 % of the peak. What keeps a layer close to it: inputs packed few times (an element
/// costs about a cycle, rows of equal alignment falling into the same cache sets), the next panel of weights fetched while the current
/// one is used, and large pages.
/// </remarks>
internal static unsafe class LinearKernel<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Bytes of scratch per worker: one widened panel, one tile, the packed inputs of one pass.</summary>
    internal static long ScratchBytes
    {
        get
        {
            long floats = (3L * TSimd.Width * LinearArguments.StepsPerPass) + (TSimd.TileRows * 3 * TSimd.Width)
                + (LinearArguments.RowsPerTask * LinearArguments.StepsPerPass);
            return ((floats * sizeof(float)) + 4095) & ~4095L;
        }
    }

    /// <summary>Packs some rows: panels of <see cref="ISimd{TVector, TWide}.TileRows"/> rows, each with the elements of one column side by side.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Pack(void* pointer, int task, int worker)
    {
        ref LinearArguments g = ref *(LinearArguments*)pointer;
        int end = Math.Min(g.M, (task + 1) * LinearArguments.RowsPerPacking);
        for (int r = task * LinearArguments.RowsPerPacking; r < end; r += TSimd.TileRows)
        {
            float* panel = g.Inputs + ((long)r * g.K);
            InputPanels.Pack(g.X + (r * g.XStride), g.XStride, Math.Min(TSimd.TileRows, end - r), g.K, panel, TSimd.TileRows);
            if (g.RoundsInputs)
            {
                Bf16Rows.RoundInPlace(panel, (long)TSimd.TileRows * g.K);
            }
        }
    }

    /// <summary>Multiplies a block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Run(void* pointer, int task, int worker)
    {
        ref LinearArguments g = ref *(LinearArguments*)pointer;
        g.Locate(task, out int firstRow, out int rows, out int firstPanel, out int panels);
        float* y = g.Y + (firstRow * g.YStride);
        float* widened = (float*)(g.Scratch + (worker * g.ScratchPerWorker));
        float* tile = widened + (3 * TSimd.Width * LinearArguments.StepsPerPass);
        float* own = tile + (TSimd.TileRows * 3 * TSimd.Width);
        int size = g.WeightType.Size(), width = g.PanelWidth;
        long panelBytes = (long)g.K * width * size;

        // Widening a panel once serves all tiles of the task; with a single tile it would only add a pass.
        bool widen = g.WeightType != DType.F32 && rows > TSimd.TileRows;
        for (int k = 0; k < g.K; k += LinearArguments.StepsPerPass)
        {
            int steps = Math.Min(LinearArguments.StepsPerPass, g.K - k);
            float* inputs = g.Inputs == null ? own : g.Inputs + ((long)firstRow * g.K) + ((long)k * TSimd.TileRows);
            long rowLength = g.Inputs == null ? steps : g.K;
            for (int r = 0; r < rows && g.Inputs == null; r += TSimd.TileRows)
            {
                float* x = g.X + ((firstRow + r) * g.XStride) + k;
                InputPanels.Pack(x, g.XStride, Math.Min(TSimd.TileRows, rows - r), steps, own + (r * rowLength), TSimd.TileRows);
                if (g.RoundsInputs)
                {
                    Bf16Rows.RoundInPlace(own + (r * rowLength), (long)TSimd.TileRows * steps);
                }
            }

            for (int p = firstPanel; p < firstPanel + panels; p++)
            {
                byte* weights = g.Weight + (p * panelBytes) + ((long)k * width * size);
                byte* next = p + 1 < firstPanel + panels ? weights + panelBytes : g.Weight + (firstPanel * panelBytes) + ((k + (long)steps) * width * size);
                if (widen)
                {
                    Widen(weights, widened, steps * width, g.WeightType);
                    weights = (byte*)widened;
                }

                MultiplyPanel(ref g, inputs, rowLength, rows, steps, weights, widen ? DType.F32 : g.WeightType, y, p * width, k, tile, next);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyPanel(
        ref LinearArguments g, float* inputs, long rowLength, int rows, int steps, byte* weights, DType type, float* y, int column, int k, float* tile,
        byte* next)
    {
        int width = g.PanelWidth, cols = Math.Min(width, g.N - column);
        bool last = k + steps == g.K;
        float* bias = last && g.Bias != null ? g.Bias + column : null;

        // The tiles of this panel share the fetching of the next one, up to a cache line per step and tile.
        long nextPerStep = Math.Min(64, (long)width * g.WeightType.Size() * TSimd.TileRows / rows);
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

            Kernel(type, count)(inputs + (r * rowLength), weights, into, stride, steps, bias, k > 0, next, nextPerStep);
            next += steps * nextPerStep;
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
    private static delegate*<float*, byte*, float*, long, int, float*, bool, byte*, long, void> Kernel(DType type, int rows) => type switch
    {
        DType.F32 => MicroKernel<TSimd, TVector, TWide>.Linear<F32Element>(rows),
        DType.BF16 => MicroKernel<TSimd, TVector, TWide>.Linear<Bf16Element>(rows),
        _ => MicroKernel<TSimd, TVector, TWide>.Linear<F16Element>(rows),
    };

    private static void Copy(float* from, long fromStride, float* to, long toStride, int rows, int cols)
    {
        for (int r = 0; r < rows; r++)
        {
            new ReadOnlySpan<float>(from + (r * fromStride), cols).CopyTo(new Span<float>(to + (r * toStride), cols));
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
