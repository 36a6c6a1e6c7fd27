using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>
/// One linear layer, cut into tasks: a grid of row blocks x column blocks per matrix. The cut depends on the shape alone, and no sum is
/// shared between tasks, so neither the cut nor the threads change a result.
/// </summary>
internal unsafe struct LinearArguments
{
    /// <summary>Length of the partial sums that stay in registers. A weight panel of that length fits the second-level cache many times.</summary>
    internal const int StepsPerPass = 384;

    /// <summary>Rows per task: enough that a panel fetched from memory is used often, few enough that the packed inputs stay in the second-level cache.</summary>
    internal const int RowsPerTask = 128;

    internal float* X, Y;
    internal long XStride, YStride, XMatrix, YMatrix;
    internal int Matrices, M, N, K;
    internal byte* Weight;
    internal float* Bias;
    internal DType WeightType;
    internal int PanelWidth, Panels;
    internal Epilogue Epilogue;
    internal int RowBlocks, RowsPerBlock, ColumnBlocks, PanelsPerBlock;
    internal byte* Scratch;
    internal long ScratchPerWorker;

    internal readonly int Tasks => Matrices * RowBlocks * ColumnBlocks;

    /// <summary>Describes the call; the caller adds the scratch.</summary>
    internal static LinearArguments Of(in Tensor x, CpuWeight weight, in Tensor y, Epilogue epilogue, int rowsPerTask, int columnsPerTask)
    {
        MatrixRows rows = MatrixRows.Of(x, y);
        LinearArguments a = new()
        {
            X = (float*)x.Data,
            Y = (float*)y.Data,
            XStride = rows.XStride,
            YStride = rows.YStride,
            XMatrix = x.BatchStride,
            YMatrix = y.BatchStride,
            Matrices = rows.Matrices,
            M = rows.Rows,
            N = weight.OutFeatures,
            K = weight.InFeatures,
            Weight = weight.Data,
            WeightType = weight.Type,
            Bias = weight.HasBias ? weight.Bias : null,
            PanelWidth = weight.PanelWidth,
            Panels = weight.Panels,
            Epilogue = epilogue,
        };
        a.RowBlocks = (a.M + rowsPerTask - 1) / rowsPerTask;
        a.RowsPerBlock = (((a.M + a.RowBlocks - 1) / a.RowBlocks) + 7) & ~7;
        a.RowBlocks = (a.M + a.RowsPerBlock - 1) / a.RowsPerBlock;
        a.PanelsPerBlock = Math.Max(1, columnsPerTask / a.PanelWidth);

        // Few rows: narrower tasks, so that there is work for all threads; a task should still be worth handing out (about 10 us).
        double flopsPerPanel = 2.0 * a.RowsPerBlock * a.PanelWidth * a.K;
        while (a.PanelsPerBlock > 1 && a.Matrices * a.RowBlocks * ((a.Panels + a.PanelsPerBlock - 1) / a.PanelsPerBlock) < 32
            && flopsPerPanel * a.PanelsPerBlock > 2e6)
        {
            a.PanelsPerBlock = (a.PanelsPerBlock + 1) / 2;
        }

        a.ColumnBlocks = (a.Panels + a.PanelsPerBlock - 1) / a.PanelsPerBlock;
        return a;
    }

    /// <summary>The block of a task: tasks that share weights follow one another.</summary>
    internal readonly void Locate(int task, out int matrix, out int firstRow, out int rows, out int firstPanel, out int panels)
    {
        matrix = task / (RowBlocks * ColumnBlocks);
        int inside = task % (RowBlocks * ColumnBlocks);
        firstRow = inside % RowBlocks * RowsPerBlock;
        rows = Math.Min(RowsPerBlock, M - firstRow);
        firstPanel = inside / RowBlocks * PanelsPerBlock;
        panels = Math.Min(PanelsPerBlock, Panels - firstPanel);
    }
}
