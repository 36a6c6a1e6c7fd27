using System.Diagnostics.CodeAnalysis;

namespace DiCacheNative.Tensors;

/// <summary>
/// A view [B, L, C] of backend memory: B samples of L rows (tokens) of C contiguous elements. Strides let a slice of rows or columns be
/// used in place, so that no operation ever concatenates or splits.
/// </summary>
/// <remarks>
/// A view is an address and owns nothing. One that came from an <see cref="Backends.Arena"/>, and every slice of it, remembers that arena:
/// it keeps the arena from being collected, and operations refuse it once the arena is disposed. A view of an address of one's own
/// (<see cref="Dense"/>) is checked by nobody: that memory must outlive its use.
/// </remarks>
/// <param name="Data">Address of the first element: host memory on the CPU, device memory on a GPU. 0 for "no tensor".</param>
/// <param name="Type">Element type.</param>
/// <param name="Batch">Number of samples, B.</param>
/// <param name="Rows">Rows per sample, L.</param>
/// <param name="Cols">Elements per row, C.</param>
/// <param name="BatchStride">Elements from one sample to the next.</param>
/// <param name="RowStride">Elements from one row to the next; at least C.</param>
public readonly record struct Tensor(nint Data, DType Type, int Batch, int Rows, int Cols, long BatchStride, long RowStride)
{
    /// <summary>A densely packed tensor at an address that the caller answers for.</summary>
    public static Tensor Dense(nint data, DType type, int batch, int rows, int cols) =>
        new(data, type, batch, rows, cols, (long)rows * cols, cols);

    /// <summary>The arena that the memory belongs to; null for an address from elsewhere.</summary>
    internal Backends.Arena? Owner { get; init; }

    /// <summary>True for <c>default</c>: an optional operand that was left out.</summary>
    public bool IsEmpty => Data == 0;

    /// <summary>Number of elements, B * L * C.</summary>
    public long Count => (long)Batch * Rows * Cols;

    /// <summary>True when the elements lie one after another without a gap.</summary>
    public bool IsContiguous => RowStride == Cols && (Batch == 1 || BatchStride == (long)Rows * Cols);

    /// <summary>Rows [start, start + count) of every sample.</summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor.</exception>
    public Tensor SliceRows(int start, int count)
    {
        CheckRange(start, count, Rows, "rows");
        return this with { Data = Offset(start * RowStride), Rows = count };
    }

    /// <summary>Columns [start, start + count) of every row.</summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor.</exception>
    public Tensor SliceCols(int start, int count)
    {
        CheckRange(start, count, Cols, "columns");
        return this with { Data = Offset(start), Cols = count };
    }

    /// <summary>Samples [start, start + count).</summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor.</exception>
    public Tensor SliceBatch(int start, int count = 1)
    {
        CheckRange(start, count, Batch, "samples");
        return this with { Data = Offset(start * BatchStride), Batch = count };
    }

    /// <summary>The same memory seen with other dimensions; only for contiguous tensors of the same element count.</summary>
    /// <exception cref="ShapeException">The tensor has gaps, or the counts differ.</exception>
    public Tensor Reshape(int batch, int rows, int cols)
    {
        if (!IsContiguous || (long)batch * rows * cols != Count)
        {
            throw new ShapeException($"{this} cannot be seen as [{batch}, {rows}, {cols}]: it has gaps or another element count");
        }

        return Dense(Data, Type, batch, rows, cols) with { Owner = Owner };
    }

    /// <summary>True when both have the same B, L and C (types and strides may differ).</summary>
    public bool SameShape(in Tensor other) => Batch == other.Batch && Rows == other.Rows && Cols == other.Cols;

    /// <summary>Shape and type, as in "[1, 30, 96] F32".</summary>
    public override string ToString() => IsEmpty ? "none" : $"[{Batch}, {Rows}, {Cols}] {Type}";

    private nint Offset(long elements) => Data + (nint)(elements * Type.Size());

    private void CheckRange(int start, int count, int limit, string what)
    {
        if (start < 0 || count < 0 || start > limit - count)
        {
            ThrowRange(start, count, what);
        }
    }

    [DoesNotReturn]
    private void ThrowRange(int start, int count, string what) =>
        throw new ShapeException($"{what} {start}..{start + count} do not lie inside {this}");
}
