namespace DiCacheNative.Cpu.Kernels;

/// <summary>How the rows [B, L] of a row-wise operation are divided into tasks. Depends on the shape alone.</summary>
internal readonly record struct RowTasks(int Batch, int Rows, int RowsPerTask)
{
    // A task of 16 384 elements takes some 3 us: long against handing it out, short against an operation.
    private const int ElementsPerTask = 16_384;

    internal int Total => Batch * Rows;

    internal int Count => (Total + RowsPerTask - 1) / RowsPerTask;

    /// <summary>Tasks of equal length, as far as rows allow.</summary>
    internal static RowTasks Of(int batch, int rows, int cols)
    {
        long total = (long)batch * rows, tasks = Math.Max(1, ((total * cols) + ElementsPerTask - 1) / ElementsPerTask);
        return new RowTasks(batch, rows, (int)Math.Max(1, (total + tasks - 1) / tasks));
    }

    /// <summary>Rows [start, end) of a task, counted through all samples.</summary>
    internal (int Start, int End) Range(int task) => (task * RowsPerTask, Math.Min(Total, (task + 1) * RowsPerTask));
}
