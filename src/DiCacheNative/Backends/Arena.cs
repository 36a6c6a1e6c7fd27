using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>
/// One block of backend memory from which a model instance takes all its activations. It is sized before it is allocated: the same
/// layout code runs first on an arena without memory (<see cref="Measure"/>), whose <see cref="Used"/> is the size to ask for.
/// </summary>
/// <remarks>
/// Who creates an arena disposes it, when no operation on its tensors runs any more. From then on its tensors are refused with an
/// <see cref="ObjectDisposedException"/>. An arena that is only dropped is freed by the garbage collector, once no tensor refers to it.
/// </remarks>
public abstract class Arena : IDisposable
{
    /// <summary>Every tensor starts at a multiple of this many bytes (cache line, vector and TMA alignment at once).</summary>
    public const int Alignment = 256;

    private readonly nint _base;
    private volatile bool _disposed;

    /// <summary>Creates an arena over memory that a derived class owns.</summary>
    /// <param name="address">Address of the memory, aligned to <see cref="Alignment"/>; 0 to measure only.</param>
    /// <param name="capacity">Size in bytes.</param>
    protected Arena(nint address, long capacity)
    {
        (_base, Capacity) = (address, capacity);
    }

    /// <summary>Size in bytes.</summary>
    public long Capacity { get; }

    /// <summary>Bytes handed out so far.</summary>
    public long Used { get; private set; }

    /// <summary>True once it was disposed: no operation may use its tensors.</summary>
    public bool IsDisposed => _disposed;

    /// <summary>True for an arena that only counts; its tensors have addresses that must not be used.</summary>
    public bool IsMeasuring => _base == 0;

    /// <summary>An arena without memory, to learn how much a layout needs.</summary>
    public static Arena Measure() => new MeasuringArena();

    /// <summary>Takes a tensor [batch, rows, cols]. Its content is undefined.</summary>
    /// <exception cref="BackendException">The arena is full: it was sized by another layout.</exception>
    /// <exception cref="ObjectDisposedException">The arena was disposed.</exception>
    public Tensor Allocate(DType type, int batch, int rows, int cols)
    {
        if (_disposed)
        {
            throw new ObjectDisposedException(nameof(Arena), "this arena was disposed and gives no tensors any more");
        }

        long bytes = checked((long)batch * rows * cols * type.Size());
        long start = Used;
        long end = checked(start + ((bytes + Alignment - 1) / Alignment * Alignment));
        if (end > Capacity)
        {
            throw new BackendException($"an arena of {Capacity:N0} bytes was asked for {bytes:N0} more than its layout was measured for");
        }

        Used = end;
        nint address = IsMeasuring ? (nint)(Alignment + start) : _base + (nint)start;
        return Tensor.Dense(address, type, batch, rows, cols) with { Owner = this };
    }

    /// <summary>Frees the memory. Operations refuse its tensors from then on. May be called twice, but not while an operation uses them.</summary>
    public void Dispose()
    {
        _disposed = true;
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the derived class owns.</summary>
    /// <param name="disposing">False when called by a finalizer.</param>
    protected virtual void Dispose(bool disposing)
    {
    }

    private sealed class MeasuringArena() : Arena(0, long.MaxValue);
}
