using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>A stream for each host thread, so that what one thread issues runs in order and beside what others issue.</summary>
internal sealed class StreamPool(ContextHandle context) : IDisposable
{
    private readonly ThreadLocal<CudaStream?> _own = new();
    private readonly List<(WeakReference<Thread> Owner, CudaStream Stream)> _all = [];

    /// <summary>The calling thread's stream, made when first asked for or taken over from a thread that has ended.</summary>
    public CudaStream Current => _own.Value ?? Join();

    public void Dispose()
    {
        lock (_all)
        {
            foreach ((_, CudaStream stream) in _all)
            {
                stream.Dispose();
            }

            _all.Clear();
        }

        _own.Dispose();
    }

    private CudaStream Join()
    {
        lock (_all)
        {
            int ended = _all.FindIndex(s => !s.Owner.TryGetTarget(out Thread? owner) || !owner.IsAlive);
            WeakReference<Thread> caller = new(Thread.CurrentThread);
            if (ended >= 0)
            {
                _all[ended] = (caller, _all[ended].Stream);
                return _own.Value = _all[ended].Stream;
            }

            CudaStream stream = new(context);
            _all.Add((caller, stream));
            return _own.Value = stream;
        }
    }
}
