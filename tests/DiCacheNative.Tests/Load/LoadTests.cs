using System.Globalization;
using DiCacheNative.Cpu.Threading;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Tests.Load;

/// <summary>
/// <see cref="GenerationLoad"/> in short. The environment variable DICACHE_LOAD gives another number of generations:
/// <c>DICACHE_LOAD=500 dotnet exec tests/DiCacheNative.Tests/bin/Release/net10.0/DiCacheNative.Tests.dll -class '*LoadTests' -showLiveOutput</c>
/// </summary>
[Collection(nameof(LoadTests))]
public sealed class LoadTests
{
    private const string CountVariable = "DICACHE_LOAD";
    private const int Few = 40;
    private const int AtATime = 8;

    [Fact]
    public async Task Generations_at_the_same_time_on_the_CPU_lose_no_byte_and_no_memory()
    {
        long before = LiveBlocks();
        await RunAsync(BackendKind.Cpu, Count(Few));
        Assert.Equal(before, LiveBlocks());
    }

    [Fact]
    public async Task Generations_at_the_same_time_on_the_host_driver_lose_no_byte_and_no_memory()
    {
        HostDriverLibrary library = HostDriverLibrary.Require("dicache_cuda_host");
        string? given = Environment.GetEnvironmentVariable(BackendFactory.HostDriverVariable);
        Environment.SetEnvironmentVariable(BackendFactory.HostDriverVariable, Repository.File(".native", "host-driver", "libdicache_cuda_host.so"));
        try
        {
            library.Reset();
            await RunAsync(BackendKind.CudaHost, Count(Few / 2));
            LiveBlocks();
            Assert.Equal((string.Empty, string.Empty), (library.Findings(), library.Live()));
        }
        finally
        {
            Environment.SetEnvironmentVariable(BackendFactory.HostDriverVariable, given);
        }
    }

    private static async Task RunAsync(BackendKind backend, int count)
    {
        GenerationLoad load = new(backend, count, AtATime);
        await load.RunAsync(TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper!.WriteLine(load.Summary);
        Assert.Equal(0, load.Different);
        Assert.True(load.IsComplete, load.Summary);
    }

    private static int Count(int otherwise) =>
        Environment.GetEnvironmentVariable(CountVariable) is { Length: > 0 } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    /// <summary>Blocks of native memory in use, when nothing is left to finalizers.</summary>
    private static long LiveBlocks()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        return NativePages.LiveBlocks;
    }
}

/// <summary>Counts all memory of the process, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(LoadTests), DisableParallelization = true)]
public sealed class LoadCollection;
