using System.Text;

namespace DiCacheNative.Tests.HostDriver;

/// <summary>Memory limits, failures on request, and NVRTC's stand-in.</summary>
[Collection("host driver")]
public sealed unsafe class HostDriverInterfaceTests
{
    private const string Normal = HostDriverLibrary.Normal;
    private const int CompilationError = 6;

    [Fact]
    public void The_device_has_as_much_memory_as_it_was_given()
    {
        HostDriverSession s = new(Normal);
        s.Library.Option("memory", 1 << 20);
        nint half = s.Allocate(600_000);

        Assert.Equal(HostDriverSession.OutOfMemory, s.TryAllocate(600_000, out _));
        nuint free = 0, total = 0;
        s.Check(((delegate* unmanaged<nuint*, nuint*, int>)s.Library["cuMemGetInfo_v2"])(&free, &total));
        Assert.Equal((nuint)(1 << 20), total);
        Assert.Equal((nuint)((1 << 20) - 600_000), free);

        s.Check(s.Free(half));
        s.Allocate(1 << 20);
    }

    [Fact]
    public void The_nth_call_of_an_entry_point_fails_and_the_next_succeeds()
    {
        HostDriverSession s = new(Normal);
        s.Library.Fail("cuMemAlloc", 2);

        s.Check(s.TryAllocate(64, out _));
        Assert.Equal(HostDriverSession.OutOfMemory, s.TryAllocate(64, out _));
        s.Check(s.TryAllocate(64, out _));

        Assert.Equal(3, s.Library.Calls("cuMemAlloc"));
    }

    [Fact]
    public void A_failing_release_releases_all_the_same()
    {
        HostDriverSession s = new(Normal);
        nint memory = s.Allocate(64);
        s.Library.Fail("cuMemFree", 1);

        Assert.NotEqual(0, s.Free(memory));

        Assert.Equal("", s.Stop());
    }

    [Fact]
    public void Whichever_call_fails_nothing_leaks_and_nothing_crashes()
    {
        HostDriverLibrary library = HostDriverLibrary.Require(Normal);
        Assert.True(Scenario(library, failing: 0, out int calls, out int firstRelease));
        Assert.InRange(calls, 20, 60);

        for (int n = 1; n <= calls; n++)
        {
            bool done = Scenario(library, n, out _, out _);

            Assert.Equal(n > firstRelease, done);
            Assert.Equal("", library.Live());
            Assert.Equal("", library.Findings());
        }
    }

    [Fact]
    public void Calls_before_cuInit_or_without_a_context_are_refused()
    {
        HostDriverSession s = new(Normal);
        s.Library.Reset();

        int count = 0;
        delegate* unmanaged<int*, int> devices = (delegate* unmanaged<int*, int>)s.Library["cuDeviceGetCount"];
        Assert.Equal(3, devices(&count));
        s.Check(((delegate* unmanaged<uint, int>)s.Library["cuInit"])(0));
        s.Check(devices(&count));
        Assert.Equal(1, count);
        Assert.Equal(201, s.TryAllocate(64, out _));
    }

    [Fact]
    public void Only_the_source_that_was_built_in_compiles_and_the_log_names_the_line_that_differs()
    {
        HostDriverSession s = new(Normal);
        string text = HostDriverSession.KernelText("clean.cu");

        Assert.Equal(0, s.Compile("clean.cu", text, ["--gpu-architecture=sm_80", "--std=c++17"], out byte[] image, out string log));
        Assert.Equal("", log);
        Assert.NotEmpty(image);

        string[] lines = text.Split('\n');
        lines[4] += " ";
        Assert.Equal(CompilationError, s.Compile("clean.cu", string.Join('\n', lines), [], out _, out log));
        Assert.Contains("clean.cu(5): error", log, StringComparison.Ordinal);
        Assert.Equal(CompilationError, s.Compile("unknown.cu", text, [], out _, out log));
        Assert.Contains("unknown.cu", log, StringComparison.Ordinal);
        Assert.Equal(5, s.Compile("clean.cu", text, ["-DTILE=3"], out _, out log));
        Assert.Contains("-DTILE=3", log, StringComparison.Ordinal);
    }

    [Fact]
    public void An_image_that_is_not_the_drivers_own_is_refused()
    {
        HostDriverSession s = new(Normal);
        nint module = 0;
        delegate* unmanaged<nint*, byte*, int> load = (delegate* unmanaged<nint*, byte*, int>)s.Library["cuModuleLoadData"];
        fixed (byte* elf = "\u007fELF\0"u8, stale = "dicache-host-image clean.cu 0123456789abcdef\0"u8)
        {
            Assert.Equal(200, load(&module, elf));
            Assert.Equal(209, load(&module, stale));
        }
    }

    [Fact]
    public void Errors_have_the_names_of_the_driver()
    {
        HostDriverSession s = new(Normal);
        byte* name = null;
        delegate* unmanaged<int, byte**, int> find = (delegate* unmanaged<int, byte**, int>)s.Library["cuGetErrorName"];

        s.Check(find(700, &name));
        Assert.Equal("CUDA_ERROR_ILLEGAL_ADDRESS", Encoding.UTF8.GetString(new ReadOnlySpan<byte>(name, 26)));
        Assert.Equal(HostDriverSession.InvalidValue, find(123456, &name));
    }

    /// <summary>A small program that stops at the first failure and then releases what it has. True when it got to its end.</summary>
    private static bool Scenario(HostDriverLibrary library, int failing, out int calls, out int callsBeforeRelease)
    {
        library.Reset();
        library.Fail("*", failing);
        HostDriverSession s = new(library);
        Stack<Action> release = [];
        bool done = false;
        try
        {
            s.Start();
            nint memory = s.Allocate(256);
            release.Push(() => s.Free(memory));
            s.Check(s.Create("cuEventCreate", 0, out nint recorded));
            release.Push(() => s.Call("cuEventDestroy_v2", recorded));
            s.Check(s.Run("clean_indices", 2, 32, memory));
            s.Check(s.Call("cuEventRecord", recorded, s.Stream));
            s.Check(s.Call("cuEventSynchronize", recorded));
            Assert.Equal(63u, s.Download<uint>(memory, 64)[63]);
            done = true;
        }
        catch (Xunit.Sdk.XunitException)
        {
            // The failure that was asked for.
        }

        callsBeforeRelease = library.Calls();
        foreach (Action action in release)
        {
            action();
        }

        s.Stop();
        calls = library.Calls();
        return done;
    }
}
