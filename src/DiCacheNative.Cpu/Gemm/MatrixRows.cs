using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>How the rows of x and y of a linear layer are walked: as few matrices as their strides allow.</summary>
/// <param name="Matrices">1 when all samples lie at one row distance, else one per sample.</param>
/// <param name="Rows">Rows of each.</param>
/// <param name="XStride">Floats from one row of x to the next.</param>
/// <param name="YStride">Floats from one row of y to the next.</param>
internal readonly record struct MatrixRows(int Matrices, int Rows, long XStride, long YStride)
{
    internal static MatrixRows Of(in Tensor x, in Tensor y)
    {
        if (x.Batch == 1)
        {
            return new MatrixRows(1, x.Rows, x.RowStride, y.RowStride);
        }

        if (x.Rows == 1)
        {
            return new MatrixRows(1, x.Batch, x.BatchStride, y.BatchStride);
        }

        bool even = x.BatchStride == x.Rows * x.RowStride && y.BatchStride == y.Rows * y.RowStride;
        return even ? new MatrixRows(1, x.Batch * x.Rows, x.RowStride, y.RowStride) : new MatrixRows(x.Batch, x.Rows, x.RowStride, y.RowStride);
    }
}
