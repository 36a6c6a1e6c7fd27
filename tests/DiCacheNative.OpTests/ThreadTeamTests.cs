using DiCacheNative.Cpu.Threading;
using DiCacheNative.Lifetimes;

namespace DiCacheNative.OpTests;

public sealed unsafe class ThreadTeamTests
{
    private static CancellationTokenSource? s_cancelled;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Every_task_runs_exactly_once(int threads)
    {
        using ThreadTeam team = new(threads);
        foreach (int tasks in new[] { 0, 1, 2, 3, 64, 1000 })
        {
            int[] runs = new int[tasks + 1];
            fixed (int* counts = runs)
            {
                team.Run(&Count, counts, tasks);
            }

            Assert.Equal([.. Enumerable.Repeat(1, tasks), 0], runs);
        }
    }

    [Fact]
    public void Many_short_operations_in_a_row_lose_no_task()
    {
        using ThreadTeam team = new(4);
        int[] runs = new int[5];
        fixed (int* counts = runs)
        {
            for (int i = 0; i < 20_000; i++)
            {
                team.Run(&Count, counts, 5);
            }
        }

        Assert.Equal([20_000, 20_000, 20_000, 20_000, 20_000], runs);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void A_cancelled_operation_begins_no_further_task(int threads)
    {
        using ThreadTeam team = new(threads);
        using CancellationTokenSource source = new();
        s_cancelled = source;
        int* counts = stackalloc int[2]; // begun, and begun after the cancellation
        using (Obeyed.Set(source.Token))
        {
            OperationCanceledException end = Assert.Throws<OperationCanceledException>(() => team.Run(&CancelAtTen, counts, 100_000_000));
            Assert.Equal(source.Token, end.CancellationToken);

            // Each thread may have looked just before the cancellation, and begin one task just after it.
            Assert.InRange(counts[0], 10, 99_999_999);
            Assert.InRange(counts[1], 0, threads - 1);
            Assert.Throws<OperationCanceledException>(() => team.Run(&CancelAtTen, counts, 5));
        }

        int[] runs = new int[4];
        fixed (int* each = runs)
        {
            team.Run(&Count, each, 4);
        }

        Assert.Equal([1, 1, 1, 1], runs);
    }

    [Fact]
    public void Workers_that_fell_asleep_are_woken()
    {
        using ThreadTeam team = new(3);
        for (int round = 0; round < 5; round++)
        {
            Thread.Sleep(20);
            using Barrier together = new(3);
            Gate gate = new(together);
            Gate* pointer = &gate;

            // Three tasks that wait for one another can only end when three threads take part.
            team.Run(&MeetOthers, pointer, 3);
            Assert.Equal(3, gate.Passed);
            gate.Release();
        }
    }

    [Fact]
    public void An_exception_reaches_the_caller_after_the_other_tasks_have_ended()
    {
        using ThreadTeam team = new(3);
        for (int round = 0; round < 50; round++)
        {
            int[] runs = new int[40];
            fixed (int* counts = runs)
            {
                int* pointer = counts;
                InvalidOperationException error = Assert.Throws<InvalidOperationException>(() => team.Run(&CountOrFail, pointer, 40));
                Assert.Equal("task 17", error.Message);
            }

            Assert.Equal(39, runs.Sum());
        }
    }

    [Fact]
    public void Callers_on_several_threads_take_turns()
    {
        using ThreadTeam team = new(3);
        int total = 0;
        int* sum = &total;
        nint address = (nint)sum;
        Thread[] callers = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            for (int i = 0; i < 2000; i++)
            {
                team.Run(&Add, (void*)address, 3);
            }
        }))];
        Array.ForEach(callers, c => c.Start());
        Array.ForEach(callers, c => c.Join());
        Assert.Equal(4 * 2000 * 3, total);
    }

    [Fact]
    public void Disposing_twice_is_fine_and_running_after_it_is_not()
    {
        ThreadTeam team = new(2);
        team.Dispose();
        team.Dispose();
        Assert.Throws<ObjectDisposedException>(() => team.Run(&Add, null, 1));
    }

    private static void CancelAtTen(void* pointer, int task, int worker)
    {
        int* counts = (int*)pointer;
        if (s_cancelled!.IsCancellationRequested)
        {
            Interlocked.Increment(ref counts[1]);
        }

        if (Interlocked.Increment(ref counts[0]) == 10)
        {
            s_cancelled.Cancel();
        }
    }

    private static void Count(void* pointer, int task, int worker) => Interlocked.Increment(ref ((int*)pointer)[task]);

    private static void Add(void* pointer, int task, int worker) => Interlocked.Increment(ref *(int*)pointer);

    private static void CountOrFail(void* pointer, int task, int worker)
    {
        if (task == 17)
        {
            throw new InvalidOperationException("task 17");
        }

        Interlocked.Increment(ref ((int*)pointer)[task]);
    }

    private static void MeetOthers(void* pointer, int task, int worker)
    {
        ref Gate gate = ref *(Gate*)pointer;
        if (gate.Together.SignalAndWait(TimeSpan.FromSeconds(30)))
        {
            Interlocked.Increment(ref gate.Passed);
        }
    }

    /// <summary>A barrier that tasks can reach through a pointer.</summary>
    private struct Gate(Barrier together)
    {
        private System.Runtime.InteropServices.GCHandle _handle = System.Runtime.InteropServices.GCHandle.Alloc(together);

        internal int Passed = 0;

        internal readonly Barrier Together => (Barrier)_handle.Target!;

        internal void Release() => _handle.Free();
    }
}
