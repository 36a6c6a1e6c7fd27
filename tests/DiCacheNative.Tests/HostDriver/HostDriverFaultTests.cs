namespace DiCacheNative.Tests.HostDriver;

/// <summary>Each check fires on a fault planted for it, names the place, and leaves the process alive and usable.</summary>
[Collection("host driver")]
public sealed class HostDriverFaultTests
{
    private const string Normal = HostDriverLibrary.Normal;
    private const string Race = HostDriverLibrary.Race;

    /// <summary>Element written, of an array of 1000 floats: 4000 bytes, 96 below the next page.</summary>
    [Theory]
    [InlineData(Normal, 1000, "0 bytes beyond the end")]
    [InlineData(Normal, 1020, "80 bytes beyond the end")]
    [InlineData(Normal, 1100, "400 bytes beyond the end")]
    [InlineData(Normal, -1, "4 bytes before")]
    [InlineData(Race, 1000, "0 bytes beyond the end")]
    [InlineData(Race, 1100, "400 bytes beyond the end")]
    [InlineData(Race, -1, "4 bytes before")]
    public void A_write_outside_an_allocation_is_found(string library, int element, string where)
    {
        HostDriverSession s = new(library);
        nint array = s.Allocate(4000);

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_write", 1, 32, array, element));

        AssertFound(s, "out of bounds", "fault_write", where);
    }

    [Theory]
    [InlineData(Normal, 1024, "0 bytes beyond the end")]
    [InlineData(Race, 1000, "0 bytes beyond the end")]
    public void A_read_outside_an_allocation_is_found(string library, int element, string where)
    {
        HostDriverSession s = new(library);
        nint array = s.Allocate(library == Normal ? 4096 : 4000), result = s.Allocate(4);

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_read", 1, 32, array, element, result));

        AssertFound(s, "out of bounds", "fault_read", "thread (3,0,0)", where);
    }

    [Theory]
    [InlineData(-5_000_000)]
    [InlineData(5_000_000)]
    [InlineData(-2_000_000_000)]
    [InlineData(2_000_000_000)]
    public void An_index_gone_wild_meets_nothing_mapped_whatever_else_is_allocated(int element)
    {
        HostDriverSession s = new(Normal);
        nint before = s.Allocate(1 << 20), array = s.Allocate(4096), after = s.Allocate(1 << 20), result = s.Allocate(4);

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_read", 1, 32, array, element, result));

        AssertFound(s, "out of bounds", "fault_read");
        Assert.True(Math.Abs(array - before) > 32 << 20 && Math.Abs(after - array) > 32 << 20);
    }

    [Fact]
    public void A_context_that_failed_is_lost_to_the_process_and_not_healed_by_releasing_it()
    {
        HostDriverSession s = new(Normal);
        nint array = s.Allocate(4096);
        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_write", 1, 32, array, -1));

        Assert.Equal(HostDriverSession.IllegalAddress, s.Free(array));
        s.Stop();

        Assert.Equal(HostDriverSession.IllegalAddress, s.TryRetain());
        s.Library.Reset();
        s.Start();
        s.Check(s.TryAllocate(64, out _));
    }

    [Theory]
    [InlineData(Normal)]
    [InlineData(Race)]
    public void A_read_too_far_inside_the_margin_gives_a_NaN_where_nothing_faults(string library)
    {
        HostDriverSession s = new(library);
        nint array = s.Upload<float>(new float[1000]), result = s.Allocate(4);

        int status = s.Run("fault_read", 1, 32, array, 1001, result);

        if (library == Race)
        {
            Assert.Equal(HostDriverSession.IllegalAddress, status);
            return;
        }

        Assert.True(float.IsNaN(s.Download<float>(result, 1)[0]));
    }

    [Theory]
    [InlineData(Normal)]
    [InlineData(Race)]
    public void Memory_used_after_it_was_freed_is_found(string library)
    {
        HostDriverSession s = new(library);
        nint freed = s.Allocate(4096);
        const long key = 0x5555555555555555;
        s.Check(s.Free(freed));

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_use_after_free", 1, 32, freed ^ key, key));

        AssertFound(s, "use after free", "fault_use_after_free", "thread (1,0,0)", "freed allocation 1");
    }

    [Theory]
    [InlineData(Normal)]
    [InlineData(Race)]
    public void A_freed_pointer_among_the_arguments_is_found_before_the_kernel_runs(string library)
    {
        HostDriverSession s = new(library);
        nint freed = s.Allocate(4096), result = s.Allocate(4);
        s.Check(s.Free(freed));

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_read", 1, 1, freed, 0, result));

        AssertFound(s, "use after free", "fault_read was given a pointer");
    }

    [Theory]
    [InlineData(Normal)]
    [InlineData(Race)]
    public void A_host_pointer_in_a_kernel_or_a_copy_is_found(string library)
    {
        HostDriverSession s = new(library);
        nint device = s.Allocate(64);

        Assert.Equal(HostDriverSession.InvalidValue, s.CopyIn(device, device, 16));
        AssertFound(s, "not a device pointer", "cuMemcpyHtoDAsync");

        s = new(library);
        nint pinned = s.AllocatePinned(64);
        s.CopyIn(pinned, pinned, 16);
        Assert.Equal(HostDriverSession.IllegalAddress, s.Synchronize());
        AssertFound(s, "not a device pointer", "the target of a copy");
    }

    [Fact]
    public void A_copy_that_reaches_beyond_its_allocation_is_found()
    {
        HostDriverSession s = new(Normal);
        nint device = s.Allocate(60);
        nint pinned = s.AllocatePinned(64);

        s.Check(s.CopyIn(device, pinned, 64));
        Assert.Equal(HostDriverSession.IllegalAddress, s.Synchronize());

        AssertFound(s, "out of bounds", "the target of a copy covers 64 bytes");
    }

    [Theory]
    [InlineData(Normal)]
    [InlineData(Race)]
    public void A_vector_access_that_is_not_aligned_is_found(string library)
    {
        HostDriverSession s = new(library);
        nint array = s.Allocate(4096), result = s.Allocate(4096);

        Assert.Equal(HostDriverSession.MisalignedAddress, s.Run("fault_misaligned", 1, 1, array, result));

        AssertFound(s, "misaligned access", "fault_misaligned", "block (0,0,0)");
    }

    [Theory]
    [InlineData(Normal, 16)]
    [InlineData(Normal, 100)]
    [InlineData(Race, 16)]
    [InlineData(Race, 100)]
    public void Dynamic_shared_memory_beyond_what_was_asked_for_is_found(string library, int element)
    {
        HostDriverSession s = new(library);
        nint result = s.Allocate(4);

        s.Check(s.Launch("fault_dynamic_shared", (1, 1, 1), (1, 1, 1), 64, s.Stream, result, element));
        Assert.Equal(HostDriverSession.IllegalAddress, s.Synchronize());

        AssertFound(s, "out of bounds", "fault_dynamic_shared", $"{(element - 16) * 4} bytes beyond");
    }

    [Fact]
    public void An_index_outside_a_shared_array_is_found_with_its_line()
    {
        HostDriverSession s = new(Race);
        nint result = s.Allocate(4096);

        Assert.Equal(HostDriverSession.IllegalAddress, s.Run("fault_static_index", 1, 32, result, 33));

        AssertFound(s, "out of bounds", "fault_static_index", "faults.cu:", "index 33");
    }

    [Theory]
    [InlineData(Normal, 0)]
    [InlineData(Normal, 9)]
    [InlineData(Race, 0)]
    public void Threads_that_wait_at_different_barriers_are_reported_and_the_process_lives(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        nint result = s.Allocate(4096);

        Assert.Equal(HostDriverSession.LaunchTimeout, s.Run("fault_deadlock", 2, 64, result));

        AssertFound(s, "deadlock", "fault_deadlock", "wait at __syncthreads");
        AssertUsable(library);
    }

    [Fact]
    public void Lanes_that_meet_in_different_warp_operations_are_reported()
    {
        HostDriverSession s = new(Normal);
        nint result = s.Allocate(4096);

        Assert.Equal(HostDriverSession.LaunchFailed, s.Run("fault_divergent_shuffle", 1, 32, result));

        AssertFound(s, "divergent warp operation", "fault_divergent_shuffle");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(8)]
    public void A_missing_barrier_is_a_race_in_every_order_of_threads(long seed)
    {
        HostDriverSession s = new(Race, seed);
        nint result = s.Allocate(4096);

        s.Check(s.Run("fault_shared_race", 1, 64, result));

        AssertFound(s, "data race", "fault_shared_race", "no barrier between", "shared memory");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void A_missing_second_barrier_is_a_race_even_where_the_result_is_right(long seed)
    {
        HostDriverSession s = new(Race, seed);
        nint values = s.Upload<float>(new float[256]), result = s.Allocate(4096);

        s.Check(s.Run("fault_missing_second_barrier", 1, 64, values, result, 4));

        AssertFound(s, "data race", "fault_missing_second_barrier", "a write after a read");
    }

    [Fact]
    public void Blocks_that_write_one_element_without_an_atomic_are_a_race()
    {
        HostDriverSession s = new(Race);
        nint sum = s.Upload<float>([0f]);

        s.Check(s.Run("fault_global_race", 3, 32, sum));

        AssertFound(s, "data race", "fault_global_race", "of block 0");
    }

    [Fact]
    public void Shared_memory_that_no_thread_wrote_is_found_when_it_is_read()
    {
        HostDriverSession s = new(Race);
        nint result = s.Allocate(4096);

        s.Check(s.Run("fault_uninitialised", 1, 64, result));

        AssertFound(s, "uninitialised shared memory", "fault_uninitialised", "thread (63,0,0)");
        Assert.DoesNotContain("race", s.Findings, StringComparison.Ordinal);

        s = new(Normal);
        result = s.Allocate(4096);
        s.Check(s.Run("fault_uninitialised", 1, 64, result));
        Assert.True(float.IsNaN(s.Download<float>(result, 64)[63]));
    }

    [Fact]
    public void Device_memory_that_was_never_written_is_found_when_a_kernel_or_a_copy_reads_it()
    {
        HostDriverSession s = new(Race);
        nint array = s.Allocate(4096), result = s.Allocate(4);
        s.Check(s.Run("fault_write", 1, 32, array, 7));
        s.Check(s.Run("fault_read", 1, 32, array, 7, result));
        Assert.Equal(1f, s.Download<float>(result, 1)[0]);
        Assert.Equal("", s.Findings);

        s.Check(s.Run("fault_read", 1, 32, array, 8, result));
        s.Download<float>(array, 8);

        AssertFound(s, "uninitialised device memory: kernel fault_read", "32 bytes into allocation 1", "a copy to the host reads");
    }

    [Fact]
    public void A_cp_async_that_is_not_awaited_is_found()
    {
        HostDriverSession s = new(Race);
        nint values = s.Upload<float>(new float[128]), result = s.Allocate(4096);

        s.Check(s.Run("fault_copy_not_awaited", 1, 32, values, result));

        AssertFound(s, "uninitialised shared memory", "fault_copy_not_awaited", "cp.async has not been waited for");
    }

    [Fact]
    public void Local_variables_beyond_the_stack_and_divisions_by_zero_end_the_launch_only()
    {
        HostDriverSession s = new(Normal);
        nint result = s.Allocate(4096);
        Assert.Equal(HostDriverSession.LaunchFailed, s.Run("fault_stack", 1, 1, result, 30000));
        AssertFound(s, "kernel stack overflow", "fault_stack");

        s = new(Normal);
        result = s.Allocate(4096);
        Assert.Equal(HostDriverSession.LaunchFailed, s.Run("fault_division", 1, 1, result, 0));
        AssertFound(s, "arithmetic fault", "fault_division", "division by zero");
        AssertUsable(Normal);
    }

    [Fact]
    public void A_launch_beyond_the_kernels_bounds_or_the_devices_is_refused()
    {
        HostDriverSession s = new(Normal);
        nint memory = s.Allocate(64);

        Assert.Equal(HostDriverSession.InvalidValue, s.Launch("clean_reduction", 1, 512, memory, memory, memory, 1));
        Assert.Equal(HostDriverSession.InvalidValue, s.Launch("clean_indices", 1, 1025, memory));
        Assert.Equal(HostDriverSession.InvalidValue, s.Launch("clean_indices", 0, 32, memory));
        Assert.Equal(HostDriverSession.InvalidValue, s.Launch("clean_indices", (1, 1, 1), (32, 1, 1), 49 * 1024, s.Stream, memory));

        AssertFound(s, "invalid launch", "clean_reduction: 512 threads", "clean_indices", "dynamic shared memory");
    }

    [Fact]
    public void What_is_never_released_is_listed()
    {
        HostDriverSession s = new(Normal);
        s.Allocate(123);
        s.AllocatePinned(10);
        s.Check(s.Create("cuEventCreate", 0, out nint _));

        string live = s.Stop();

        Assert.Contains("(123 bytes)", live, StringComparison.Ordinal);
        Assert.Contains("pinned host allocation (10 bytes)", live, StringComparison.Ordinal);
        Assert.Contains("1 event", live, StringComparison.Ordinal);
        Assert.DoesNotContain("module", live, StringComparison.Ordinal);
        s.Library.Reset();
        Assert.Equal("", s.Library.Live());
    }

    [Fact]
    public void Handles_and_memory_released_twice_are_refused_and_found()
    {
        HostDriverSession s = new(Normal);
        s.Check(s.Create("cuEventCreate", 0, out nint made));
        s.Check(s.Call("cuEventDestroy_v2", made));
        nint memory = s.Allocate(64);
        s.Check(s.Free(memory));

        Assert.Equal(HostDriverSession.InvalidHandle, s.Call("cuEventDestroy_v2", made));
        Assert.Equal(HostDriverSession.InvalidValue, s.Free(memory));

        AssertFound(s, "invalid handle: cuEventDestroy", "use after free: cuMemFree");
    }

    private static void AssertFound(HostDriverSession s, params ReadOnlySpan<string> parts)
    {
        string findings = s.Findings;
        foreach (string part in parts)
        {
            Assert.Contains(part, findings, StringComparison.Ordinal);
        }

        s.Library.Reset();
        Assert.Equal("", s.Findings);
    }

    private static void AssertUsable(string library)
    {
        HostDriverSession s = new(library);
        nint numbers = s.Allocate(64 * sizeof(uint));
        s.Check(s.Run("clean_indices", 2, 32, numbers));
        Assert.Equal(63u, s.Download<uint>(numbers, 64)[63]);
        Assert.Equal("", s.Findings);
    }
}
