using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Page-locked buffers of one size between host and device. While one is copied in the background the next is filled. Made when first used.
/// </summary>
internal sealed unsafe class StagingRing(ContextHandle context, int slotBytes, int slots) : IDisposable
{
    private readonly Slot?[] _slots = new Slot?[slots];
    private int _next;

    /// <summary>Size of a buffer.</summary>
    public int SlotBytes => slotBytes;

    /// <summary>The next buffer, waiting for the copy it was last used for.</summary>
    public Slot Next()
    {
        Slot slot = _slots[_next] ??= new Slot(context, slotBytes);
        _next = (_next + 1) % _slots.Length;
        slot.Wait();
        return slot;
    }

    public void Dispose()
    {
        foreach (Slot? slot in _slots)
        {
            slot?.Dispose();
        }
    }

    /// <summary>One buffer.</summary>
    internal sealed class Slot : IDisposable
    {
        private readonly Driver _driver;
        private readonly PinnedMemory _memory;
        private readonly EventHandle _copied;
        private bool _pending;

        public Slot(ContextHandle context, int bytes)
        {
            _driver = context.Driver;
            _memory = PinnedMemory.Allocate(context, bytes);
            try
            {
                _copied = EventHandle.Create(context, timing: false);
            }
            catch
            {
                _memory.Dispose();
                throw;
            }
        }

        public nint Address => _memory.Value;

        /// <summary>Copies the buffer's first bytes to the device in the background.</summary>
        public void CopyTo(nint device, long bytes, nint stream, string purpose)
        {
            _driver.Check(_driver.cuMemcpyHtoDAsync(device, Address, (nuint)bytes, stream), "copying to the device: ", purpose);
            _pending = true;
            _driver.Check(_driver.cuEventRecord(_copied.Value, stream), "marking the end of a copy");
        }

        /// <summary>Waits for the last copy from the buffer.</summary>
        public void Wait()
        {
            if (_pending)
            {
                _driver.Check(_driver.cuEventSynchronize(_copied.Value), "waiting for a copy to the device");
                _pending = false;
            }
        }

        public void Dispose()
        {
            _copied.Dispose();
            _memory.Dispose();
        }
    }
}
