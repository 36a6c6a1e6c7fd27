using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <summary>
/// The operations in C# on the processor. They define what every other backend must compute. Results depend on the vector width and the
/// matrix engine, in the last bits, but not on the number of threads.
/// </summary>
public sealed unsafe partial class CpuBackend : IBackend
{
    private readonly CpuBackendOptions _options;

    /// <summary>Creates the backend.</summary>
    /// <param name="options">Choices; none for the defaults.</param>
    public CpuBackend(CpuBackendOptions? options = null)
    {
        _options = options ?? new CpuBackendOptions();
    }

    /// <inheritdoc/>
    public string Name => "cpu";

    /// <inheritdoc/>
    public string Description => $"CPU, {(_options.Threads == 0 ? Environment.ProcessorCount : _options.Threads)} threads";

    /// <inheritdoc/>
    public DType ActivationType => DType.F32;

    /// <inheritdoc/>
    public Arena CreateArena(long bytes, string purpose) => HostArena.Create(bytes, purpose);

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<float> source, in Tensor destination)
    {
        RequireCount(source.Length, destination);
        for (int b = 0, at = 0; b < destination.Batch; b++)
        {
            for (int r = 0; r < destination.Rows; r++, at += destination.Cols)
            {
                for (int c = 0; c < destination.Cols; c++)
                {
                    Store(destination, b, r, c, source[at + c]);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Download(in Tensor source, Span<float> destination)
    {
        RequireCount(destination.Length, source);
        for (int b = 0, at = 0; b < source.Batch; b++)
        {
            for (int r = 0; r < source.Rows; r++, at += source.Cols)
            {
                for (int c = 0; c < source.Cols; c++)
                {
                    destination[at + c] = Load(source, b, r, c);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
    }

    /// <inheritdoc/>
    public IStepPlan Record(string name, Action operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        return new DelegatePlan(name, operations);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private static float* Row(in Tensor t, int batch, int row) => (float*)t.Data + (batch * t.BatchStride) + (row * t.RowStride);

    private static float* BroadcastRow(in Tensor t, int batch) => t.IsEmpty ? null : Row(t, t.Batch == 1 ? 0 : batch, 0);

    private static float Load(in Tensor t, int batch, int row, int col)
    {
        long at = (batch * t.BatchStride) + (row * t.RowStride) + col;
        return t.Type switch
        {
            DType.F32 => ((float*)t.Data)[at],
            DType.BF16 => BitConverter.UInt32BitsToSingle((uint)((ushort*)t.Data)[at] << 16),
            DType.F16 => (float)((Half*)t.Data)[at],
            _ => throw new ShapeException($"{t} is not of a floating-point type that the CPU backend reads"),
        };
    }

    private static void Store(in Tensor t, int batch, int row, int col, float value)
    {
        long at = (batch * t.BatchStride) + (row * t.RowStride) + col;
        switch (t.Type)
        {
            case DType.F32:
                ((float*)t.Data)[at] = value;
                break;
            case DType.BF16:
                uint bits = BitConverter.SingleToUInt32Bits(value);
                ((ushort*)t.Data)[at] = (ushort)(float.IsNaN(value) ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
                break;
            case DType.F16:
                ((Half*)t.Data)[at] = (Half)value;
                break;
            default:
                throw new ShapeException($"{t} is not of a floating-point type that the CPU backend writes");
        }
    }

    private static void RequireCount(int length, in Tensor t)
    {
        if (t.IsEmpty || length != t.Count)
        {
            throw new ShapeException($"a span of {length} values does not fit {t}");
        }
    }

    private sealed class DelegatePlan(string name, Action operations) : IStepPlan
    {
        public string Name => name;

        public void Run() => operations();

        public void Dispose()
        {
        }
    }
}
