namespace DiCacheNative.Lifetimes;

/// <summary>
/// Where the users of something and its Dispose meet, on whatever threads they are. Users come and go; once it is disposed, newcomers are
/// refused, and what it owns is freed at once, or by the last user that leaves. Nobody waits, so nobody can wait for himself.
/// </summary>
/// <remarks>A <see cref="Use"/> also keeps the owner from being collected, and thereby from being finalised, while it works.</remarks>
internal sealed class Lifetime
{
    // The sign bit of the state; the other bits count the users.
    private const int Ended = int.MinValue;

    private readonly string _owner;
    private readonly Action _free;
    private readonly bool _exclusive;
    private int _state;
    private int _thread;

    /// <summary>A lifetime that begins now.</summary>
    /// <param name="owner">Name of the public type that is disposed, for messages.</param>
    /// <param name="free">Frees what the owner holds. Called once.</param>
    /// <param name="exclusive">Whether one thread at a time may use it; that thread may enter again.</param>
    public Lifetime(string owner, Action free, bool exclusive = false) => (_owner, _free, _exclusive) = (owner, free, exclusive);

    /// <summary>Whether it was disposed; users may still be inside.</summary>
    public bool HasEnded => Volatile.Read(ref _state) < 0;

    /// <summary>Begins to use it. The result must be disposed, in an exclusive lifetime on the same thread.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    /// <exception cref="InvalidOperationException">It is exclusive, and another thread is inside.</exception>
    public Use Enter()
    {
        int caller = Environment.CurrentManagedThreadId;
        while (true)
        {
            int state = Volatile.Read(ref _state);
            if (state < 0)
            {
                throw new ObjectDisposedException(_owner, $"this {_owner} was disposed and cannot be used any more");
            }

            if (_exclusive && state > 0 && Volatile.Read(ref _thread) != caller)
            {
                throw new InvalidOperationException($"this {_owner} is in use on another thread: one thread at a time may use it; make one for each thread");
            }

            if (Interlocked.CompareExchange(ref _state, state + 1, state) == state)
            {
                if (_exclusive && state == 0)
                {
                    Volatile.Write(ref _thread, caller);
                }

                return new Use(this);
            }
        }
    }

    /// <summary>Ends it: frees at once when nobody is inside, else the last user frees when it leaves. May be called again.</summary>
    public void End()
    {
        if (Interlocked.Or(ref _state, Ended) == 0)
        {
            _free();
        }
    }

    private void Leave()
    {
        // Before the count: who finds somebody inside must not find his own number of an earlier visit.
        if (_exclusive && (Volatile.Read(ref _state) & ~Ended) == 1)
        {
            Volatile.Write(ref _thread, 0);
        }

        if (Interlocked.Decrement(ref _state) == Ended)
        {
            _free();
        }
    }

    /// <summary>A visit.</summary>
    internal readonly struct Use : IDisposable
    {
        private readonly Lifetime _lifetime;

        internal Use(Lifetime lifetime) => _lifetime = lifetime;

        /// <summary>Leaves. Once.</summary>
        public void Dispose() => _lifetime.Leave();
    }
}
