using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>
/// One block of backend memory from which a model instance takes all its activations. It is sized before it is allocated: the same
/// layout code runs first on an arena without memory (<see cref="Measure"/>), whose <see cref="Used"/> is the size to ask for.
/// </summary>
public abstract class Arena : IDisposable
{
    /// <summary>Every tensor starts at a multiple of this many bytes (cache line, vector and TMA alignment at once).</summary>
    public const int Alignment = 256;

    private readonly nint _base;

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

    /// <summary>True for an arena that only counts; its tensors have addresses that must not be used.</summary>
    public bool IsMeasuring => _base == 0;

    /// <summary>An arena without memory, to learn how much a layout needs.</summary>
    public static Arena Measure() => new MeasuringArena();

    /// <summary>Takes a tensor [batch, rows, cols]. Its content is undefined.</summary>
    /// <exception cref="BackendException">The arena is full: it was sized by another layout.</exception>
    public Tensor Allocate(DType type, int batch, int rows, int cols)
    {
        long bytes = checked((long)batch * rows * cols * type.Size());
        long start = Used;
        long end = checked(start + ((bytes + Alignment - 1) / Alignment * Alignment));
        if (end > Capacity)
        {
            throw new BackendException($"an arena of {Capacity:N0} bytes was asked for {bytes:N0} more than its layout was measured for");
        }

        Used = end;
        nint address = IsMeasuring ? (nint)(Alignment + start) : _base + (nint)start;
        return Tensor.Dense(address, type, batch, rows, cols);
    }

    /// <summary>Frees the memory. Every tensor taken from the arena is invalid from then on. May be called twice.</summary>
    public void Dispose()
    {
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
