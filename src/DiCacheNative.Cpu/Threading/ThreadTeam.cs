using System.Diagnostics;
using System.Runtime.ExceptionServices;
using DiCacheNative.Lifetimes;

namespace DiCacheNative.Cpu.Threading;

/// <summary>
/// A fixed set of threads that work through the tasks of one operation at a time. The calling thread takes part. Tasks are claimed one by
/// one from a counter, so which thread does which task is left open; nothing a task computes may depend on it. Running allocates nothing.
/// A cancelled operation leaves out the tasks that nobody has begun.
/// </summary>
internal sealed unsafe class ThreadTeam : IDisposable
{
    // Long enough to bridge the gap between two operations of a step, short enough not to be seen in a profile of an idle program.
    private static readonly long SpinTicks = Stopwatch.Frequency / 20_000;

    private const uint Closed = uint.MaxValue;

    private readonly Lock _oneOperation = new();
    private readonly object _idle = new(), _finished = new();
    private readonly Thread[] _workers;

    // Generation in the upper half, next unclaimed task in the lower half: one compare-and-swap claims a task of one certain operation.
    // The four fields that describe the operation are only written while the lower half is Closed.
    private ulong _state = Closed;
    private delegate*<void*, int, int, void> _body;
    private void* _arguments;
    private int _tasks;
    private CancellationToken _cancellation;

    private int _done, _sleeping, _callerWaits;
    private volatile bool _stop;
    private Exception? _error;

    /// <summary>Starts the workers.</summary>
    /// <param name="threads">Number of threads, the calling one included; at least 1.</param>
    internal ThreadTeam(int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _workers = new Thread[threads - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            int worker = i + 1;
            _workers[i] = new Thread(() => Work(worker)) { IsBackground = true, Name = $"dicache cpu {worker}" };
            _workers[i].Start();
        }
    }

    /// <summary>Number of threads, the calling one included.</summary>
    internal int Threads => _workers.Length + 1;

    /// <summary>Calls of <see cref="Run"/> so far.</summary>
    internal long Runs { get; private set; }

    /// <summary>Runs body(arguments, task, worker) for every task in [0, tasks) and returns when all are done. One call at a time: others wait.</summary>
    /// <param name="body">Must not call <see cref="Run"/> itself.</param>
    /// <param name="arguments">Handed to the body.</param>
    /// <param name="tasks">Number of tasks.</param>
    /// <exception cref="Exception">The first that a task threw, after the others have ended.</exception>
    /// <exception cref="OperationCanceledException"><see cref="Obeyed.Token"/> is cancelled; some tasks were not done.</exception>
    internal void Run(delegate*<void*, int, int, void> body, void* arguments, int tasks)
    {
        CancellationToken cancellation = Obeyed.Token;
        lock (_oneOperation)
        {
            ObjectDisposedException.ThrowIf(_stop, this);
            Runs++;
            if (tasks <= 1 || _workers.Length == 0)
            {
                for (int task = 0; task < tasks; task++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    body(arguments, task, 0);
                }

                return;
            }

            ulong generation = (_state >> 32) + 1;
            Interlocked.Exchange(ref _state, (generation << 32) | Closed);
            _body = body;
            _arguments = arguments;
            (_tasks, _done, _error, _cancellation) = (tasks, 0, null, cancellation);
            Interlocked.Exchange(ref _state, generation << 32);
            if (Volatile.Read(ref _sleeping) > 0)
            {
                lock (_idle)
                {
                    Monitor.PulseAll(_idle);
                }
            }

            WorkOn((uint)generation, 0);
            AwaitAll(tasks);
            if (_error is { } error)
            {
                ExceptionDispatchInfo.Throw(error);
            }

            cancellation.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Ends the workers. May be called twice.</summary>
    public void Dispose()
    {
        lock (_oneOperation)
        {
            if (_stop)
            {
                return;
            }

            _stop = true;
            lock (_idle)
            {
                Monitor.PulseAll(_idle);
            }
        }

        foreach (Thread worker in _workers)
        {
            worker.Join();
        }
    }

    private void Work(int worker)
    {
        uint seen = 0;
        while (!_stop)
        {
            ulong state = Volatile.Read(ref _state);
            if (IsNew(state, seen))
            {
                seen = (uint)(state >> 32);
                WorkOn(seen, worker);
            }
            else
            {
                AwaitWork(seen);
            }
        }
    }

    private static bool IsNew(ulong state, uint seen) => (uint)(state >> 32) != seen && (uint)state != Closed;

    /// <summary>Claims and runs tasks of one operation until none are left.</summary>
    private void WorkOn(uint generation, int worker)
    {
        while (true)
        {
            // The fields read here belong to this operation if the claim below succeeds: they cannot change before all its tasks are done.
            ulong state = Volatile.Read(ref _state);
            int tasks = Volatile.Read(ref _tasks);
            delegate*<void*, int, int, void> body = _body;
            void* arguments = _arguments;
            CancellationToken cancellation = _cancellation;
            if ((uint)(state >> 32) != generation || (uint)state >= (uint)tasks)
            {
                return;
            }

            if (Interlocked.CompareExchange(ref _state, state + 1, state) != state)
            {
                continue;
            }

            try
            {
                if (!cancellation.IsCancellationRequested)
                {
                    body(arguments, (int)(uint)state, worker);
                }
            }
#pragma warning disable CA1031 // Whatever it is, the caller gets it.
            catch (Exception error)
#pragma warning restore CA1031
            {
                Interlocked.CompareExchange(ref _error, error, null);
            }

            if (Interlocked.Increment(ref _done) == tasks && Volatile.Read(ref _callerWaits) != 0)
            {
                lock (_finished)
                {
                    Monitor.Pulse(_finished);
                }
            }
        }
    }

    private void AwaitAll(int tasks)
    {
        long until = Stopwatch.GetTimestamp() + SpinTicks;
        while (Volatile.Read(ref _done) != tasks)
        {
            if (Stopwatch.GetTimestamp() < until)
            {
                Thread.SpinWait(8);
                continue;
            }

            lock (_finished)
            {
                Interlocked.Exchange(ref _callerWaits, 1);
                while (Volatile.Read(ref _done) != tasks)
                {
                    Monitor.Wait(_finished);
                }

                _callerWaits = 0;
            }
        }
    }

    private void AwaitWork(uint seen)
    {
        long until = Stopwatch.GetTimestamp() + SpinTicks;
        while (Stopwatch.GetTimestamp() < until)
        {
            if (IsNew(Volatile.Read(ref _state), seen) || _stop)
            {
                return;
            }

            Thread.SpinWait(8);
        }

        lock (_idle)
        {
            Interlocked.Increment(ref _sleeping);
            while (!IsNew(Volatile.Read(ref _state), seen) && !_stop)
            {
                Monitor.Wait(_idle);
            }

            Interlocked.Decrement(ref _sleeping);
        }
    }
}
