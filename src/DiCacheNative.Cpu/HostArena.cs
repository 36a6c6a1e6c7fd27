using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Threading;

namespace DiCacheNative.Cpu;

/// <summary>Activations in host memory, aligned and zero-filled, outside the managed heap.</summary>
internal sealed unsafe class HostArena : Arena
{
    private nint _memory;

    private HostArena(nint memory, long bytes)
        : base(memory, bytes)
    {
        _memory = memory;
        GC.AddMemoryPressure(Math.Max(1, bytes));
    }

    ~HostArena() => Dispose(false);

    /// <summary>Allocates and clears the memory: pages are touched here, not in the first step.</summary>
    /// <exception cref="BackendException">Not enough memory.</exception>
    internal static HostArena Create(long bytes, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        long free = HostMemory.AvailableBytes;
        if (bytes > free)
        {
            throw OutOfMemory(bytes, purpose, free);
        }

        void* memory;
        try
        {
            memory = NativePages.Allocate(bytes);
        }
        catch (OutOfMemoryException)
        {
            throw OutOfMemory(bytes, purpose, free);
        }

        NativeMemory.Clear(memory, (nuint)bytes);
        return new HostArena((nint)memory, bytes);
    }

    protected override void Dispose(bool disposing)
    {
        nint memory = Interlocked.Exchange(ref _memory, 0);
        if (memory != 0)
        {
            NativePages.Free((void*)memory);
            GC.RemoveMemoryPressure(Math.Max(1, Capacity));
        }

        base.Dispose(disposing);
    }

    private static BackendException OutOfMemory(long bytes, string purpose, long available) => new(
        $"not enough memory for {purpose}: {bytes:N0} bytes needed, {available:N0} available to this process; lower the resolution, the frame count or the "
            + $"batch size");
}
