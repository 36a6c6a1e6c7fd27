using System.Runtime.CompilerServices;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Kernels;

/// <summary>A tensor as the kernels address it: F32 rows, or none.</summary>
internal readonly unsafe struct Operand
{
    private readonly float* _data;
    private readonly long _batchStride, _rowStride;

    private Operand(float* data, long batchStride, long rowStride)
    {
        _data = data;
        (_batchStride, _rowStride) = (batchStride, rowStride);
    }

    internal bool IsEmpty => _data == null;

    internal float Value => *_data;

    /// <summary>A tensor of F32 rows; one sample, or one row, is used for all.</summary>
    internal static Operand Of(in Tensor t) =>
        new((float*)t.Data, t.Batch == 1 ? 0 : t.BatchStride, t.Rows == 1 ? 0 : t.RowStride);

    /// <summary>Address of a row, null when there is no tensor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal float* Row(int batch, int row) => _data == null ? null : _data + (batch * _batchStride) + (row * _rowStride);
}
