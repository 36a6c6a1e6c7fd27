using System.Buffers;
using System.Runtime.InteropServices;

namespace DiCacheNative.Tensors;

/// <summary>Bytes that lie elsewhere than in memory: those of an open checkpoint.</summary>
internal interface ITensorBytes
{
    /// <summary>Fills a buffer with the bytes from a position on.</summary>
    /// <exception cref="ModelFormatException">The file ends before, or cannot be read.</exception>
    void Read(long position, Span<byte> destination);
}

/// <summary>
/// A read-only array, of any rank, row-major and dense: a tensor of an open checkpoint, which is read when it is copied, or a buffer in
/// memory. It owns nothing: the object it came from must outlive it.
/// </summary>
public readonly unsafe struct HostTensor
{
    private const int PieceBytes = 1 << 18;

    private readonly int[] _shape;
    private readonly ITensorBytes? _file;

    // Address of the first element, or its position in the file.
    private readonly nint _start;

    /// <summary>A view of host memory.</summary>
    /// <param name="name">Name for error messages.</param>
    /// <param name="data">Address of the first element, which need not be aligned; 0 for a tensor that is missing from its checkpoint.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Dimensions, outermost first; empty for a scalar.</param>
    public HostTensor(string name, nint data, DType type, int[] shape)
        : this(name, null, data, type, shape)
    {
    }

    /// <summary>A part of a file.</summary>
    internal HostTensor(string name, ITensorBytes? file, nint start, DType type, int[] shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        (Name, _file, _start, Type, _shape) = (name, file, start, type, shape);
        long count = 1;
        foreach (int d in shape)
        {
            count = checked(count * d);
        }

        Count = count;
    }

    /// <summary>Name for error messages, as in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>False for one that stands for a tensor missing from its checkpoint.</summary>
    public bool HasValues => _file is not null || _start != 0;

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
        return new HostTensor(Name, _file, HasValues ? _start + (nint)(start * row * Type.Size()) : 0, Type, shape);
    }

    /// <summary>The same elements in another shape.</summary>
    /// <exception cref="ShapeException">The shape has another number of elements.</exception>
    public HostTensor Reshape(params int[] shape)
    {
        HostTensor result = new(Name, _file, _start, Type, shape);
        return result.Count == Count ? result : throw new ShapeException($"{Name} {ShapeText} cannot be seen as {result.ShapeText}");
    }

    /// <summary>
    /// Copies bytes [offset, offset + destination.Length) as they are stored, little-endian. Different threads may copy different parts.
    /// </summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor, or the tensor stands for a missing one.</exception>
    /// <exception cref="ModelFormatException">The checkpoint's file ends before, or cannot be read.</exception>
    public void CopyBytes(Span<byte> destination, long offset = 0)
    {
        if (offset < 0 || offset > Bytes - destination.Length)
        {
            throw new ShapeException($"bytes {offset}..{offset + destination.Length} do not lie inside {Name} {ShapeText}");
        }

        RequireValues(destination.IsEmpty);
        if (_file is not null)
        {
            _file.Read(_start + offset, destination);
        }
        else
        {
            new ReadOnlySpan<byte>((byte*)_start + offset, destination.Length).CopyTo(destination);
        }
    }

    /// <summary>
    /// Copies elements [offset, offset + destination.Length) as binary32 (F32, F16, BF16, F64 or integers). Exact for F32 (bit for
    /// bit), F16 and BF16; other types are rounded to nearest. Different threads may copy different parts.
    /// </summary>
    /// <exception cref="ShapeException">The range does not lie inside the tensor, or the tensor stands for a missing one.</exception>
    /// <exception cref="ModelFormatException">The checkpoint's file ends before, or cannot be read.</exception>
    public void CopyTo(Span<float> destination, long offset = 0)
    {
        if (offset < 0 || offset > Count - destination.Length)
        {
            throw new ShapeException($"elements {offset}..{offset + destination.Length} do not lie inside {Name} {ShapeText}");
        }

        RequireValues(destination.IsEmpty);
        if (_file is null)
        {
            Widening.ToSingle((byte*)_start + (offset * Type.Size()), Type, destination);
            return;
        }

        if (Type == DType.F32)
        {
            _file.Read(_start + (nint)(offset * sizeof(float)), MemoryMarshal.AsBytes(destination));
            return;
        }

        // In pieces that stay in the cache between reading and widening.
        int size = Type.Size();
        byte[] piece = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceBytes, Math.Max(1L, (long)destination.Length * size)));
        try
        {
            fixed (byte* bytes = piece)
            {
                while (!destination.IsEmpty)
                {
                    int count = Math.Min(destination.Length, PieceBytes / size);
                    _file.Read(_start + (nint)(offset * size), piece.AsSpan(0, count * size));
                    Widening.ToSingle(bytes, Type, destination[..count]);
                    destination = destination[count..];
                    offset += count;
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(piece);
        }
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
            CopyBytes(MemoryMarshal.AsBytes(result.AsSpan()));
            return result;
        }

        float[] single = ToArray();
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = single[i];
        }

        return result;
    }

    private void RequireValues(bool none)
    {
        if (!HasValues && !none)
        {
            throw new ShapeException($"{Name} {ShapeText} stands for a missing tensor and holds no values");
        }
    }
}
