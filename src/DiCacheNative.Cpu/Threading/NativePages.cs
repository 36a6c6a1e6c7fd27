using System.Runtime.InteropServices;

namespace DiCacheNative.Cpu.Threading;

/// <summary>
/// Memory outside the managed heap. Large blocks ask the system for 2 MB pages, where it grants them on request: matrix kernels touch many
/// rows at once, and with 4 KB pages look-ups of addresses cost them several percent.
/// </summary>
internal static unsafe partial class NativePages
{
    private const nuint LargePage = 2 << 20, SmallPage = 4096;

    // MADV_HUGEPAGE of Linux: a wish, whose refusal changes nothing but speed.
    private const int AdviseLargePages = 14;

    private static readonly bool CanAdvise = OperatingSystem.IsLinux() && NativeLibrary.TryLoad("libc.so.6", out _);

    private static long s_live;

    /// <summary>Blocks allocated and not freed yet.</summary>
    internal static long LiveBlocks => Volatile.Read(ref s_live);

    /// <summary>Allocates; the content is undefined.</summary>
    /// <exception cref="OutOfMemoryException">There is not that much.</exception>
    internal static void* Allocate(long bytes)
    {
        bool large = bytes >= (long)LargePage;
        void* memory = NativeMemory.AlignedAlloc((nuint)Math.Max(1, bytes), large ? LargePage : SmallPage);
        Interlocked.Increment(ref s_live);
        if (large && CanAdvise)
        {
            _ = Advise(memory, (nuint)bytes & ~(LargePage - 1), AdviseLargePages);
        }

        return memory;
    }

    /// <summary>Frees; nothing for null.</summary>
    internal static void Free(void* memory)
    {
        if (memory is not null)
        {
            Interlocked.Decrement(ref s_live);
            NativeMemory.AlignedFree(memory);
        }
    }

    [LibraryImport("libc.so.6", EntryPoint = "madvise")]
    private static partial int Advise(void* address, nuint length, int advice);
}
