using DiCacheNative.Lifetimes;

namespace DiCacheNative.Tests.Lifetimes;

public sealed class LifetimeTests
{
    private int _freed;

    [Fact]
    public void What_nobody_uses_is_freed_at_once_and_only_once()
    {
        Lifetime lifetime = new("Thing", Free);
        lifetime.Enter().Dispose();
        lifetime.End();
        lifetime.End();
        Assert.Equal(1, _freed);
        Assert.True(lifetime.HasEnded);
        Assert.Equal("Thing", Assert.Throws<ObjectDisposedException>(() => lifetime.Enter()).ObjectName);
    }

    [Fact]
    public void What_is_in_use_is_freed_by_the_last_user_that_leaves()
    {
        Lifetime lifetime = new("Thing", Free);
        Lifetime.Use first = lifetime.Enter(), second = lifetime.Enter();
        lifetime.End();
        Assert.Throws<ObjectDisposedException>(() => lifetime.Enter());
        second.Dispose();
        Assert.Equal(0, _freed);
        first.Dispose();
        Assert.Equal(1, _freed);
    }

    [Fact]
    public void Only_one_thread_at_a_time_enters_what_is_exclusive_and_it_may_enter_again()
    {
        Lifetime lifetime = new("Thing", Free, exclusive: true);
        using (lifetime.Enter())
        using (lifetime.Enter())
        {
            InvalidOperationException refusal = OnAnotherThread<InvalidOperationException>(() => lifetime.Enter());
            Assert.Contains("this Thing is in use on another thread", refusal.Message, StringComparison.Ordinal);
        }

        Assert.Null(OnAnotherThread<Exception?>(() => lifetime.Enter().Dispose()));
    }

    [Fact]
    public void Users_and_an_end_that_race_free_once_and_after_every_use()
    {
        for (int round = 0; round < 200; round++)
        {
            int inside = 0, freedWhileInside = 0, freed = 0;
            Lifetime lifetime = new("Thing", () =>
            {
                freedWhileInside += Volatile.Read(ref inside);
                Interlocked.Increment(ref freed);
            });
            void Visit()
            {
                try
                {
                    while (true)
                    {
                        using Lifetime.Use use = lifetime.Enter();
                        Interlocked.Increment(ref inside);
                        Interlocked.Decrement(ref inside);
                    }
                }
                catch (ObjectDisposedException)
                {
                }
            }

            Thread[] visitors = [new(Visit), new(Visit)];
            Array.ForEach(visitors, t => t.Start());
            lifetime.End();
            Array.ForEach(visitors, t => t.Join());
            Assert.Equal((1, 0), (freed, freedWhileInside));
        }
    }

    [Fact]
    public void Ending_running_work_cancels_it_and_waits_until_it_has_left()
    {
        RunningWork running = new("Thing", Free);
        using ManualResetEventSlim started = new();
        Exception? seen = null;
        Thread worker = new(() => seen = Record.Exception(() => running.Run(
            token =>
            {
                started.Set();
                token.WaitHandle.WaitOne();
                Assert.Equal(0, _freed);
                token.ThrowIfCancellationRequested();
                return 0;
            },
            CancellationToken.None)));
        worker.Start();
        started.Wait(TestContext.Current.CancellationToken);
        running.Dispose();
        Assert.Equal(1, _freed);
        worker.Join();
        Assert.Equal("Thing", Assert.IsType<ObjectDisposedException>(seen).ObjectName);
        Assert.Throws<ObjectDisposedException>(() => running.Run(_ => 0, CancellationToken.None));
    }

    [Fact]
    public void Ending_running_work_from_inside_it_does_not_wait()
    {
        RunningWork running = new("Thing", Free);
        int result = running.Run(
            _ =>
            {
                running.Dispose();
                Task.Run(running.Dispose, CancellationToken.None).Wait(CancellationToken.None);
                Assert.True(running.DisposeAsync().AsTask().IsCompleted);
                Assert.Equal(0, _freed);
                return 7;
            },
            CancellationToken.None);
        Assert.Equal((7, 1), (result, _freed));
        running.Dispose();
        Assert.Equal(1, _freed);
    }

    [Fact]
    public void Work_that_the_caller_cancels_ends_with_the_token_of_the_caller()
    {
        using RunningWork running = new("Thing", Free);
        using CancellationTokenSource source = new();
        OperationCanceledException end = Assert.Throws<OperationCanceledException>(() => running.Run(
            token =>
            {
                source.Cancel();
                token.ThrowIfCancellationRequested();
                return 0;
            },
            source.Token));
        Assert.Equal(source.Token, end.CancellationToken);
    }

    private void Free() => _freed++;

    private static T OnAnotherThread<T>(Action action)
        where T : Exception?
    {
        Exception? seen = null;
        Thread thread = new(() => seen = Record.Exception(action));
        thread.Start();
        thread.Join();
        return (T)seen!;
    }
}
