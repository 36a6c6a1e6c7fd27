using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>How large the tasks of a product are.</summary>
/// <param name="Rows">Rows at most.</param>
/// <param name="Columns">Columns at most.</param>
/// <param name="AtLeast">Tasks wanted: with few rows the columns are cut narrower.</param>
internal readonly record struct TaskShape(int Rows, int Columns, int AtLeast);

/// <summary>
/// One matrix product of a linear layer, cut into tasks: a grid of row blocks x column blocks. The cut depends on the shape alone, and no
/// sum is shared between tasks, so neither the cut nor the threads change a result.
/// </summary>
internal unsafe struct LinearArguments
{
    /// <summary>
    /// Length of the partial sums that stay in registers. The packed inputs of a task, 128 rows of that length, take 262 KB and a weight
    /// panel 98 KB: both stay in the second-level cache. 256 to 768 are equally fast.
    /// </summary>
    internal const int StepsPerPass = 512;

    /// <summary>Rows per task: each weight fetched from memory is used for that many.</summary>
    internal const int RowsPerTask = 128;

    /// <summary>Rows that are packed before they are multiplied; bounds the scratch memory.</summary>
    internal const int RowsPerRun = 1024;

    /// <summary>Rows that one task packs.</summary>
    internal const int RowsPerPacking = 32;

    internal float* X, Y;
    internal long XStride, YStride;
    internal int M, N, K;
    internal byte* Weight;
    internal float* Bias;
    internal DType WeightType;
    internal int PanelWidth, Panels;
    internal Epilogue Epilogue;
    internal bool RoundsInputs;
    internal int RowBlocks, RowsPerBlock, ColumnBlocks, PanelsPerBlock;

    /// <summary>Packed inputs of all rows, shared by the tasks; null where each task packs its own.</summary>
    internal float* Inputs;

    internal byte* Scratch;
    internal long ScratchPerWorker;

    internal readonly int Tasks => RowBlocks * ColumnBlocks;

    /// <summary>
    /// Whether packing the inputs once for all tasks is worth a trip through memory (12 bytes per element): not when one or two tasks
    /// use them.
    /// </summary>
    internal readonly bool SharesInputs => ColumnBlocks > 2;

    internal readonly int PackingTasks => (M + RowsPerPacking - 1) / RowsPerPacking;

    /// <summary>Describes the layer; <see cref="Take"/> adds the rows, the caller the scratch.</summary>
    internal static LinearArguments Of(CpuWeight weight, Epilogue epilogue) => new()
    {
        N = weight.OutFeatures,
        K = weight.InFeatures,
        Weight = weight.Data,
        WeightType = weight.Type,
        Bias = weight.HasBias ? weight.Bias : null,
        PanelWidth = weight.PanelWidth,
        Panels = weight.Panels,
        Epilogue = epilogue,
        RoundsInputs = weight.RoundsInputs,
    };

    /// <summary>Takes on a run of rows and cuts it.</summary>
    internal void Take(float* x, long xStride, float* y, long yStride, int rows, TaskShape shape)
    {
        X = x;
        Y = y;
        (XStride, YStride, M) = (xStride, yStride, rows);
        RowBlocks = (M + shape.Rows - 1) / shape.Rows;
        RowsPerBlock = (((M + RowBlocks - 1) / RowBlocks) + 7) & ~7;
        RowBlocks = (M + RowsPerBlock - 1) / RowsPerBlock;
        PanelsPerBlock = Math.Max(1, shape.Columns / PanelWidth);

        // Few rows: narrower tasks, so that there is work for all threads; a task should still be worth handing out (about 10 us).
        double flopsPerPanel = 2.0 * RowsPerBlock * PanelWidth * K;
        while (PanelsPerBlock > 1 && RowBlocks * ((Panels + PanelsPerBlock - 1) / PanelsPerBlock) < shape.AtLeast && flopsPerPanel * PanelsPerBlock > 2e6)
        {
            PanelsPerBlock = (PanelsPerBlock + 1) / 2;
        }

        ColumnBlocks = (Panels + PanelsPerBlock - 1) / PanelsPerBlock;
    }

    /// <summary>The block of a task: tasks that share weights follow one another.</summary>
    internal readonly void Locate(int task, out int firstRow, out int rows, out int firstPanel, out int panels)
    {
        firstRow = task % RowBlocks * RowsPerBlock;
        rows = Math.Min(RowsPerBlock, M - firstRow);
        firstPanel = task / RowBlocks * PanelsPerBlock;
        panels = Math.Min(PanelsPerBlock, Panels - firstPanel);
    }
}
