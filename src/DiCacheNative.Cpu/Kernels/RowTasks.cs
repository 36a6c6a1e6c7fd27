namespace DiCacheNative.Cpu.Kernels;

/// <summary>How the rows [B, L] of a row-wise operation are divided into tasks. Depends on the shape alone.</summary>
internal readonly record struct RowTasks(int Batch, int Rows, int RowsPerTask)
{
    // A task of 32 768 elements takes some 5 us: long against handing it out, short against an operation.
    private const int ElementsPerTask = 32_768;

    internal int Total => Batch * Rows;

    internal int Count => (Total + RowsPerTask - 1) / RowsPerTask;

    internal static RowTasks Of(int batch, int rows, int cols) => new(batch, rows, Math.Max(1, ElementsPerTask / cols));

    /// <summary>Rows [start, end) of a task, counted through all samples.</summary>
    internal (int Start, int End) Range(int task) => (task * RowsPerTask, Math.Min(Total, (task + 1) * RowsPerTask));
}
