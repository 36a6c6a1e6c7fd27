using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace DiCacheNative.Cuda.Tests;

/// <summary>A few threads that stay alive and take turns: one runs while the others wait, as code with awaits hops between threads of the pool.</summary>
internal sealed class Relay : IDisposable
{
    private readonly BlockingCollection<Action>[] _work;
    private readonly Thread[] _threads;

    public Relay(int threads)
    {
        _work = [.. Enumerable.Range(0, threads).Select(_ => new BlockingCollection<Action>())];
        _threads = [.. _work.Select(queue => new Thread(() =>
        {
            foreach (Action action in queue.GetConsumingEnumerable())
            {
                action();
            }
        }))];
        Array.ForEach(_threads, t => t.Start());
    }

    /// <summary>Runs on thread <paramref name="thread"/> (counted round and round) and waits for its end; what it throws is thrown here.</summary>
    public T Run<T>(int thread, Func<T> function)
    {
        using ManualResetEventSlim done = new();
        T result = default!;
        ExceptionDispatchInfo? error = null;
        _work[thread % _work.Length].Add(() =>
        {
            try
            {
                result = function();
            }
            catch (Exception e)
            {
                error = ExceptionDispatchInfo.Capture(e);
            }
            finally
            {
                done.Set();
            }
        });
        done.Wait();
        error?.Throw();
        return result;
    }

    public void Run(int thread, Action action) => Run(thread, () =>
    {
        action();
        return 0;
    });

    public void Dispose()
    {
        Array.ForEach(_work, queue => queue.CompleteAdding());
        Array.ForEach(_threads, t => t.Join());
        Array.ForEach(_work, queue => queue.Dispose());
    }
}
