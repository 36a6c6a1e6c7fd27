namespace DiCacheNative.Tensors;

/// <summary>
/// A read-only array in host memory, of any rank, row-major and dense: a tensor of a memory-mapped checkpoint, or a buffer of random
/// weights. It owns nothing: the object it came from must outlive it.
/// </summary>
public readonly unsafe struct HostTensor
{
    private readonly int[] _shape;

    /// <summary>A view of host memory.</summary>
    /// <param name="name">Name for error messages.</param>
    /// <param name="data">Address of the first element.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Dimensions, outermost first; empty for a scalar.</param>
    public HostTensor(string name, nint data, DType type, int[] shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        (Name, Data, Type, _shape) = (name, data, type, shape);
        long count = 1;
        foreach (int d in shape)
        {
            count = checked(count * d);
        }

        Count = count;
    }

    /// <summary>Name for error messages, as in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>Address of the first element; it need not be aligned. 0 for a tensor that is missing from its checkpoint.</summary>
    public nint Data { get; }

    /// <summary>Element type.</summary>
    public DType Type { get; }

    /// <summary>Dimensions, outermost first.</summary>
    public ReadOnlySpan<int> Shape => _shape;

    /// <summary>Number of elements.</summary>
    public long Count { get; }

    /// <summary>Size in bytes.</summary>
    public long Bytes => Count * Type.Size();

    /// <summary>Shape as text, as in "[3072, 64]".</summary>
    public string ShapeText => "[" + string.Join(", ", _shape) + "]";

    /// <summary>Rows [start, start + count) of the first dimension.</summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor.</exception>
    public HostTensor Rows(int start, int count)
    {
        if (_shape.Length == 0 || start < 0 || count < 0 || start > _shape[0] - count)
        {
            throw new ShapeException($"rows {start}..{start + count} do not lie inside {Name} {ShapeText}");
        }

        int[] shape = [.. _shape];
        shape[0] = count;
        long row = Count / Math.Max(1, _shape[0]);
        return new HostTensor(Name, Data == 0 ? 0 : Data + (nint)(start * row * Type.Size()), Type, shape);
    }

    /// <summary>
    /// Copies elements [offset, offset + destination.Length) as binary32 (F32, F16, BF16, F64 or integers). Exact for F32 (bit for
    /// bit), F16 and BF16; other types are rounded to nearest. Different threads may copy different parts.
    /// </summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor, or the tensor stands for a missing one.</exception>
    public void CopyTo(Span<float> destination, long offset = 0)
    {
        if (offset < 0 || offset > Count - destination.Length)
        {
            throw new ShapeException($"elements {offset}..{offset + destination.Length} do not lie inside {Name} {ShapeText}");
        }

        if (Data == 0 && !destination.IsEmpty)
        {
            throw new ShapeException($"{Name} {ShapeText} stands for a missing tensor and holds no values");
        }

        Widening.ToSingle((byte*)Data + (offset * Type.Size()), Type, destination);
    }

    /// <summary>All elements as binary32.</summary>
    public float[] ToArray()
    {
        float[] result = new float[checked((int)Count)];
        CopyTo(result);
        return result;
    }

    /// <summary>All elements as binary64, exact for every type but I64.</summary>
    public double[] ToDoubles()
    {
        double[] result = new double[checked((int)Count)];
        if (Type == DType.F64)
        {
            new ReadOnlySpan<byte>((void*)Data, checked((int)Bytes)).CopyTo(System.Runtime.InteropServices.MemoryMarshal.AsBytes(result.AsSpan()));
            return result;
        }

        float[] single = ToArray();
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = single[i];
        }

        return result;
    }
}
