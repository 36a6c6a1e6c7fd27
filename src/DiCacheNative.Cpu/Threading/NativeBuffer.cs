using DiCacheNative.Backends;

namespace DiCacheNative.Cpu.Threading;

/// <summary>Scratch memory outside the managed heap that grows and never shrinks. Its content is lost when it grows.</summary>
internal sealed unsafe class NativeBuffer : IDisposable
{
    private void* _data;
    private long _bytes;

    ~NativeBuffer() => Free();

    /// <summary>Memory of at least this size, aligned to a page.</summary>
    /// <exception cref="BackendException">Not enough memory.</exception>
    internal byte* Ensure(long bytes)
    {
        if (bytes > _bytes)
        {
            Free();
            try
            {
                _data = NativePages.Allocate(bytes);
            }
            catch (OutOfMemoryException error)
            {
                throw new BackendException($"not enough memory for {bytes:N0} bytes of scratch", error);
            }

            _bytes = bytes;
        }

        return (byte*)_data;
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativePages.Free(_data);
        _data = null;
        _bytes = 0;
    }
}
