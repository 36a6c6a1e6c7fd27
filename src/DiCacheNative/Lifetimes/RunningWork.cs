namespace DiCacheNative.Lifetimes;

/// <summary>
/// A <see cref="Lifetime"/> of something that works for long: its Dispose refuses new work, cancels what runs, waits for it, and frees.
/// Called from inside that work (a progress callback), it cannot wait: then what is freed is freed as the work ends.
/// </summary>
internal sealed class RunningWork : IDisposable, IAsyncDisposable
{
    private readonly string _owner;
    private readonly Action _free;
    private readonly Lifetime _lifetime;
    private readonly CancellationTokenSource _ending = new();
    private readonly TaskCompletionSource _freed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Flows to where callbacks are posted or started from inside, so that none of them waits for the work that may wait for it.
    private readonly AsyncLocal<bool> _inside = new();

    /// <summary>A lifetime that begins now.</summary>
    /// <param name="owner">Name of the public type that is disposed, for messages.</param>
    /// <param name="free">Frees what the owner holds. Called once, when nothing runs any more.</param>
    public RunningWork(string owner, Action free)
    {
        (_owner, _free) = (owner, free);
        _lifetime = new Lifetime(owner, Free);
    }

    /// <summary>Whether it was disposed; work may still run.</summary>
    public bool HasEnded => _lifetime.HasEnded;

    /// <summary>Begins a piece of work, which holds what is to be freed until its own Dispose.</summary>
    /// <param name="caller">Cancels it, too.</param>
    /// <exception cref="ObjectDisposedException">The owner was disposed.</exception>
    public Work Enter(CancellationToken caller) => new(this, _lifetime.Enter(), caller);

    /// <summary>Does a piece of work on the calling thread.</summary>
    /// <param name="work">Given the token to obey.</param>
    /// <param name="caller">Cancels it, too.</param>
    /// <exception cref="ObjectDisposedException">The owner was disposed, before or meanwhile.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled it; the exception has the caller's token.</exception>
    public T Run<T>(Func<CancellationToken, T> work, CancellationToken caller)
    {
        using Work entered = Enter(caller);
        return entered.Run(work);
    }

    /// <summary>Ends it and waits until it is freed, unless called from inside work. May be called again.</summary>
    public void Dispose() => EndAsync().GetAwaiter().GetResult();

    /// <summary>As <see cref="Dispose"/>, without blocking a thread.</summary>
    public ValueTask DisposeAsync() => new(EndAsync());

    private Task EndAsync()
    {
        _lifetime.End();

        // The source itself is never disposed: it has no timer, and work that is just beginning may still link to it.
        _ending.Cancel();
        return _inside.Value ? Task.CompletedTask : _freed.Task;
    }

    private void Free()
    {
        // Whoever waits for the end gets the error; the work that happened to be the last has done nothing wrong.
        try
        {
            _free();
            _freed.SetResult();
        }
#pragma warning disable CA1031 // Whatever it is.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _freed.SetException(error);
        }
    }

    /// <summary>A piece of work.</summary>
    internal sealed class Work : IDisposable
    {
        private readonly RunningWork _owner;
        private readonly Lifetime.Use _use;
        private readonly CancellationToken _caller;
        private readonly CancellationTokenSource _linked;

        internal Work(RunningWork owner, Lifetime.Use use, CancellationToken caller)
        {
            (_owner, _use, _caller) = (owner, use, caller);
            _linked = CancellationTokenSource.CreateLinkedTokenSource(caller, owner._ending.Token);
        }

        /// <summary>Cancelled by the caller, or when the owner is disposed.</summary>
        public CancellationToken Token => _linked.Token;

        /// <summary>Runs it on the calling thread.</summary>
        public T Run<T>(Func<CancellationToken, T> work)
        {
            bool outer = _owner._inside.Value;
            _owner._inside.Value = true;
            try
            {
                return work(Token);
            }
            catch (OperationCanceledException e) when (e.CancellationToken == Token)
            {
                throw Reason(e);
            }
            finally
            {
                _owner._inside.Value = outer;
            }
        }

        /// <summary>What the caller is to be told about the cancellation of <see cref="Token"/>.</summary>
        public Exception Reason(OperationCanceledException e) => _caller.IsCancellationRequested
            ? new OperationCanceledException(e.Message, e, _caller)
            : new ObjectDisposedException(_owner._owner, $"the {_owner._owner} was disposed while it worked");

        /// <summary>Leaves. Once.</summary>
        public void Dispose()
        {
            _linked.Dispose();
            _use.Dispose();
        }
    }
}
