using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <summary>A tensor of a backend with the numbers that it held when it was made.</summary>
/// <param name="Tensor">The view that the operation gets.</param>
/// <param name="Parent">All of its memory, [B, L', C'].</param>
/// <param name="FirstRow">Row of the parent where the view starts.</param>
/// <param name="FirstCol">Column of the parent where the view starts.</param>
/// <param name="Values">The view's elements, exactly.</param>
public sealed record TestTensor(Tensor Tensor, Tensor Parent, int FirstRow, int FirstCol, double[] Values)
{
    public int Batch => Tensor.Batch;

    public int Rows => Tensor.Rows;

    public int Cols => Tensor.Cols;

    /// <summary>An element; a tensor with one sample or one row is repeated.</summary>
    public double At(int batch, int row, int col) =>
        Values[((((Batch == 1 ? 0 : batch) * Rows) + (Rows == 1 ? 0 : row)) * Cols) + col];
}

/// <summary>How a tensor lies in its parent.</summary>
public enum Layout
{
    /// <summary>It is its parent.</summary>
    Dense,

    /// <summary>The middle third of the columns, as q, k and v lie in qkv.</summary>
    Columns,

    /// <summary>Some of the rows of every sample, as text and image tokens lie in a joint sequence.</summary>
    Rows,
}
