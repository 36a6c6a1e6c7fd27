using System.Runtime.InteropServices;

namespace DiCacheNative.Tests.HostDriver;

/// <summary>Work happens as late as CUDA allows, and graphs replay what was captured.</summary>
[Collection("host driver")]
public sealed unsafe class HostDriverStreamTests
{
    private const string Normal = HostDriverLibrary.Normal;
    private const int CaptureUnsupported = 900;
    private const int CaptureInvalidated = 901;
    private const int CaptureUnjoined = 904;
    private const int CaptureIsolation = 905;
    private const int CaptureImplicit = 906;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_copy_to_pinned_memory_is_only_there_after_a_wait_unless_the_driver_is_eager(bool eager)
    {
        HostDriverSession s = new(Normal);
        s.Library.Option("eager", eager ? 1 : 0);
        nint device = s.Upload<int>([42]);
        nint pinned = s.AllocatePinned(4);
        Marshal.WriteInt32(pinned, -1);

        s.Check(s.CopyOut(pinned, device, 4));

        Assert.Equal(eager ? 42 : -1, Marshal.ReadInt32(pinned));
        s.Check(s.Synchronize());
        Assert.Equal(42, Marshal.ReadInt32(pinned));
    }

    [Fact]
    public void A_pinned_buffer_that_is_reused_too_early_spoils_the_copy_and_a_pageable_one_does_not()
    {
        HostDriverSession s = new(Normal);
        nint first = s.Allocate(4), second = s.Allocate(4), pinned = s.AllocatePinned(4);
        int pageable = 1;
        Marshal.WriteInt32(pinned, 1);

        s.Check(s.CopyIn(first, pinned, 4));
        s.Check(s.CopyIn(second, (nint)(&pageable), 4));
        Marshal.WriteInt32(pinned, 2);
        pageable = 2;

        Assert.Equal(2, s.Download<int>(first, 1)[0]);
        Assert.Equal(1, s.Download<int>(second, 1)[0]);
    }

    [Fact]
    public void An_event_orders_two_streams_and_measures_time()
    {
        HostDriverSession s = new(Normal);
        s.Check(s.Create("cuStreamCreate", 1, out nint other));
        s.Check(s.Create("cuEventCreate", 0, out nint start));
        s.Check(s.Create("cuEventCreate", 0, out nint end));
        nint numbers = s.Allocate(64 * 4), pinned = s.AllocatePinned(64 * 4);
        s.Check(s.Call("cuEventRecord", start, s.Stream));
        s.Check(s.Launch("clean_indices", 2, 32, numbers));
        s.Check(s.Call("cuEventRecord", end, s.Stream));

        float ms = -1;
        var elapsed = (delegate* unmanaged<float*, nint, nint, int>)s.Library["cuEventElapsedTime"];
        Assert.Equal(HostDriverSession.NotReady, elapsed(&ms, start, end));
        s.Check(((delegate* unmanaged<nint, nint, uint, int>)s.Library["cuStreamWaitEvent"])(other, end, 0));
        s.Check(((delegate* unmanaged<nint, nint, nuint, nint, int>)s.Library["cuMemcpyDtoHAsync_v2"])(pinned, numbers, 64 * 4, other));
        s.Check(s.Call("cuStreamSynchronize", other));

        Assert.Equal(63, Marshal.ReadInt32(pinned, 63 * 4));
        s.Check(elapsed(&ms, start, end));
        Assert.InRange(ms, 0f, 10_000f);
    }

    [Fact]
    public void Captured_work_runs_at_each_launch_with_the_arguments_it_was_captured_with()
    {
        HostDriverSession s = new(Normal);
        nint from = s.Upload<float>([1, 2, 3]), into = s.Upload<float>([0, 0, 0]), add = s.Upload<float>([10]);

        nint graph = Capture(s, () => Scale(s, from, into, add, 2f, 3));
        Assert.Equal([0f, 0f, 0f], s.Download<float>(into, 3));
        nint plan = Instantiate(s, graph);
        s.Check(s.Call("cuGraphDestroy", graph));

        s.Check(s.Call("cuGraphLaunch", plan, s.Stream));
        Assert.Equal([12f, 14f, 16f], s.Download<float>(into, 3));
        s.Check(s.CopyIn(add, Pinned(s, 20f), 4));
        s.Check(s.Call("cuGraphLaunch", plan, s.Stream));
        Assert.Equal([22f, 24f, 26f], s.Download<float>(into, 3));

        s.Check(s.Call("cuGraphExecDestroy", plan));
        Assert.Equal("", s.Findings);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Nodes_of_a_graph_keep_their_order_whatever_the_seed(long seed)
    {
        HostDriverSession s = new(Normal, seed);
        nint a = s.Upload<float>([1]), b = s.Upload<float>([0]), zero = s.Upload<float>([0]);

        nint graph = Capture(s, () =>
        {
            Scale(s, a, b, zero, 3f, 1);
            Scale(s, b, a, zero, 5f, 1);
            Scale(s, a, b, zero, 7f, 1);
        });
        s.Check(s.Call("cuGraphLaunch", Instantiate(s, graph), s.Stream));

        Assert.Equal(105f, s.Download<float>(b, 1)[0]);
        Assert.Equal("", s.Findings);
    }

    [Fact]
    public void Interleaved_streams_run_what_nothing_orders_now_one_way_and_now_the_other()
    {
        HashSet<float> plain = [], graphs = [];
        for (long seed = 1; seed <= 24; seed++)
        {
            plain.Add(TwoWriters(seed, asGraph: false));
            graphs.Add(TwoWriters(seed, asGraph: true));
        }

        // Three kernels of each stream write to one place: either may have the last word, and a graph is no unit.
        Assert.Equal([10f, 20f], plain.Order());
        Assert.Equal([10f, 20f], graphs.Order());
    }

    [Fact]
    public void Interleaved_streams_keep_the_order_of_each_and_of_their_events()
    {
        for (long seed = 1; seed <= 12; seed++)
        {
            HostDriverSession s = new(Normal, seed);
            s.Library.Option("interleave", 1);
            s.Check(s.Create("cuStreamCreate", 1, out nint other));
            s.Check(s.Create("cuEventCreate", 2, out nint written));
            nint a = s.Upload<float>([1]), b = s.Upload<float>([0]), zero = s.Upload<float>([0]);
            s.Check(s.Synchronize());
            Scale(s, a, b, zero, 3f, 1);
            Scale(s, b, a, zero, 5f, 1);
            s.Check(s.Call("cuEventRecord", written, s.Stream));
            s.Check(((delegate* unmanaged<nint, nint, uint, int>)s.Library["cuStreamWaitEvent"])(other, written, 0));
            Scale(s, a, b, zero, 7f, 1, other);
            s.Check(s.Call("cuStreamSynchronize", other));

            Assert.Equal(105f, s.Download<float>(b, 1)[0]);
            Assert.Equal("", s.Findings);
        }
    }

    [Fact]
    public void A_stream_that_joins_a_capture_must_be_joined_back()
    {
        HostDriverSession s = new(Normal);
        s.Check(s.Create("cuStreamCreate", 1, out nint other));
        s.Check(s.Create("cuEventCreate", 0, out nint fork));
        s.Check(s.Create("cuEventCreate", 0, out nint join));
        nint one = s.Upload<float>([1]), two = s.Upload<float>([0]), zero = s.Upload<float>([0]);
        var wait = (delegate* unmanaged<nint, nint, uint, int>)s.Library["cuStreamWaitEvent"];

        void Fork(bool joinBack)
        {
            Scale(s, one, two, zero, 2f, 1);
            s.Check(s.Call("cuEventRecord", fork, s.Stream));
            s.Check(wait(other, fork, 0));
            Scale(s, two, one, zero, 2f, 1, other);
            if (joinBack)
            {
                s.Check(s.Call("cuEventRecord", join, other));
                s.Check(wait(s.Stream, join, 0));
            }
        }

        nint graph = Capture(s, () => Fork(joinBack: true));
        s.Check(s.Call("cuGraphLaunch", Instantiate(s, graph), s.Stream));
        Assert.Equal(4f, s.Download<float>(one, 1)[0]);
        Assert.Equal("", s.Findings);

        Begin(s);
        Fork(joinBack: false);
        Assert.Equal(CaptureUnjoined, End(s, out _));
        Assert.Contains("capture misuse", s.Findings, StringComparison.Ordinal);
    }

    [Fact]
    public void What_may_not_happen_during_a_capture_spoils_it()
    {
        HostDriverSession s = new(Normal);
        s.Check(s.Create("cuEventCreate", 0, out nint recorded));
        s.Check(s.Call("cuEventRecord", recorded, s.Stream));
        var wait = (delegate* unmanaged<nint, nint, uint, int>)s.Library["cuStreamWaitEvent"];
        (Func<int> Misuse, int Error)[] cases =
        [
            (s.Synchronize, CaptureUnsupported),
            (() => s.TryAllocate(64, out _), CaptureUnsupported),
            (() => wait(s.Stream, recorded, 0), CaptureIsolation),
            (() => ((delegate* unmanaged<int>)s.Library["cuCtxSynchronize"])(), CaptureUnsupported),
        ];
        foreach ((Func<int> misuse, int error) in cases)
        {
            int before = s.Findings.Length;
            Begin(s);
            Assert.Equal(error, misuse());
            Assert.Equal(CaptureInvalidated, End(s, out nint graph));
            Assert.Equal(0, graph);
            Assert.Contains("capture misuse", s.Findings[before..], StringComparison.Ordinal);
        }

        Assert.Equal(CaptureImplicit, WithBlockingStream(s));
    }

    [Fact]
    public void A_graph_whose_memory_was_freed_is_found_when_it_is_launched()
    {
        HostDriverSession s = new(Normal);
        nint from = s.Upload<float>([1]), into = s.Upload<float>([0]), add = s.Upload<float>([0]);
        nint plan = Instantiate(s, Capture(s, () => Scale(s, from, into, add, 2f, 1)));
        s.Check(s.Free(into));

        s.Check(s.Call("cuGraphLaunch", plan, s.Stream));
        Assert.Equal(HostDriverSession.IllegalAddress, s.Synchronize());

        Assert.Contains("use after free: kernel clean_scale was given a pointer", s.Findings, StringComparison.Ordinal);
        Assert.Equal(HostDriverSession.IllegalAddress, s.TryAllocate(64, out _));
    }

    [Theory]
    [InlineData(1, 1u, 5u)]
    [InlineData(1, 0u, 0u)]
    [InlineData(0, 1u, 1u)]
    [InlineData(0, 0u, 0u)]
    public void A_conditional_node_runs_its_body_as_the_kernels_decide(int type, uint initial, uint runs)
    {
        HostDriverSession s = new(Normal);
        nint counts = s.Upload<uint>([0]), graph = 0, node = 0;
        s.Check(((delegate* unmanaged<nint*, uint, int>)s.Library["cuGraphCreate"])(&graph, 0));
        ulong handle = 0;
        var createHandle = (delegate* unmanaged<ulong*, nint, nint, uint, uint, int>)s.Library["cuGraphConditionalHandleCreate"];
        s.Check(createHandle(&handle, graph, 0, initial, 1));
        // CUgraphNodeParams: type, 3 reserved ints, then handle, conditional type, size, bodies out, context.
        byte* parameters = stackalloc byte[256];
        new Span<byte>(parameters, 256).Clear();
        *(int*)parameters = 13;
        *(ulong*)(parameters + 16) = handle;
        *(int*)(parameters + 24) = type;
        *(int*)(parameters + 28) = 1;
        s.Check(((delegate* unmanaged<nint*, nint, nint*, nuint, byte*, int>)s.Library["cuGraphAddNode"])(&node, graph, null, 0, parameters));
        nint body = **(nint**)(parameters + 32);
        s.Function("clean_count");
        var captureTo = (delegate* unmanaged<nint, nint, nint*, void*, nuint, int, int>)s.Library["cuStreamBeginCaptureToGraph"];
        s.Check(captureTo(s.Stream, body, null, null, 0, 0));
        s.Check(s.Launch("clean_count", 1, 1, counts, 5, (long)handle));
        s.Check(End(s, out nint captured));
        Assert.Equal(body, captured);
        nint plan = Instantiate(s, graph);

        s.Check(s.Call("cuGraphLaunch", plan, s.Stream));
        Assert.Equal(runs, s.Download<uint>(counts, 1)[0]);

        s.Check(s.Call("cuGraphExecDestroy", plan));
        s.Check(s.Call("cuGraphDestroy", graph));
        s.Check(s.Free(counts));
        Assert.Equal("", s.Stop());
        Assert.Equal("", s.Findings);
    }

    // Two streams write to the same number, three times each; gives who came last.
    private static float TwoWriters(long seed, bool asGraph)
    {
        HostDriverSession s = new(Normal, seed);
        s.Check(s.Create("cuStreamCreate", 1, out nint other));
        nint one = s.Upload<float>([1]), into = s.Upload<float>([0]), zero = s.Upload<float>([0]);
        s.Check(s.Synchronize());
        s.Library.Option("interleave", 1);

        void Write(nint stream, float value)
        {
            for (int i = 0; i < 3; i++)
            {
                Scale(s, one, into, zero, value, 1, stream);
            }
        }

        if (asGraph)
        {
            nint graph = Capture(s, () => Write(s.Stream, 10f));
            s.Check(s.Call("cuGraphLaunch", Instantiate(s, graph), s.Stream));
        }
        else
        {
            Write(s.Stream, 10f);
        }

        Write(other, 20f);
        s.Check(s.Synchronize());
        s.Check(s.Call("cuStreamSynchronize", other));
        return s.Download<float>(into, 1)[0];
    }

    private static int WithBlockingStream(HostDriverSession s)
    {
        s.Check(s.Create("cuStreamCreate", 0, out nint blocking));
        nint memory = s.Allocate(64);
        s.Check(s.Call("cuStreamBeginCapture_v2", blocking, 2));
        return s.Launch("clean_indices", (1, 1, 1), (1, 1, 1), 0, 0, memory);
    }

    private static void Begin(HostDriverSession s) => s.Check(s.Call("cuStreamBeginCapture_v2", s.Stream, 0));

    private static int End(HostDriverSession s, out nint graph)
    {
        fixed (nint* g = &graph)
        {
            return ((delegate* unmanaged<nint, nint*, int>)s.Library["cuStreamEndCapture"])(s.Stream, g);
        }
    }

    private static nint Capture(HostDriverSession s, Action work)
    {
        s.Function("clean_scale");
        Begin(s);
        work();
        s.Check(End(s, out nint graph));
        return graph;
    }

    private static nint Instantiate(HostDriverSession s, nint graph)
    {
        nint plan = 0;
        s.Check(((delegate* unmanaged<nint*, nint, ulong, int>)s.Library["cuGraphInstantiateWithFlags"])(&plan, graph, 0));
        return plan;
    }

    private static nint Pinned(HostDriverSession s, float value)
    {
        nint memory = s.AllocatePinned(4);
        *(float*)memory = value;
        return memory;
    }

    /// <summary>clean_scale takes one structure by value: four words of it lie one after the other.</summary>
    private static void Scale(HostDriverSession s, nint from, nint into, nint add, float factor, int count, nint? stream = null)
    {
        long last = HostDriverSession.Word(factor) | ((long)count << 32);
        s.Check(s.Launch("clean_scale", (1, 1, 1), (32, 1, 1), 0, stream ?? s.Stream, from, into, add, last));
    }
}
