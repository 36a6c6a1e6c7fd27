using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Device memory that operations use between their own launches: partial sums, a matrix product before its activation, cuBLASLt's
/// workspace. It belongs to one stream, or to one recorded plan, whose launches run one after another; so each operation may use it from its start.
/// When it grows, the old block is kept, since launches under way or recorded still name it.
/// </summary>
internal sealed class DeviceScratch(ContextHandle context) : IDisposable
{
    private const long Least = 1 << 16;
    private readonly List<DeviceMemory> _blocks = [];

    /// <summary>Address of at least <paramref name="bytes"/> bytes, aligned to 256; its content is undefined.</summary>
    public nint Take(long bytes)
    {
        if (_blocks.Count == 0 || _blocks[^1].Bytes < bytes)
        {
            long grown = _blocks.Count == 0 ? Least : _blocks[^1].Bytes * 2;
            _blocks.Add(DeviceMemory.Allocate(context, Math.Max(bytes, grown), "scratch memory of an operation"));
        }

        return _blocks[^1].Value;
    }

    public void Dispose()
    {
        foreach (DeviceMemory block in _blocks)
        {
            block.Dispose();
        }
    }
}
