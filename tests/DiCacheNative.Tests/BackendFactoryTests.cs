using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Cuda;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Tests;

/// <summary>Where backends come from, and what is said when one cannot be had.</summary>
[Collection("host driver")]
public sealed class BackendFactoryTests
{
    private const string Library = "dicache_cuda_host";

    [Fact]
    public void A_library_in_the_current_folder_or_above_it_is_never_loaded()
    {
        HostDriverLibrary.Require(Library); // one that can be loaded is needed for bait
        string bait = Repository.File(".native", "host-driver", $"lib{Library}.so");
        using TemporaryFolder folder = new();
        string start = folder.File("start");
        foreach (string place in (string[])[folder.File(".native/host-driver"), start, Path.Combine(start, ".native", "host-driver")])
        {
            Directory.CreateDirectory(place);
            foreach (string name in (string[])[$"lib{Library}.so", "libcuda.so.1", "libnvrtc.so.12", "libcublasLt.so.12", "libdnnl.so.2"])
            {
                File.Copy(bait, Path.Combine(place, name));
            }
        }

        string listed = Devices(start, variable: null);

        Assert.DoesNotContain(folder.Path, listed, StringComparison.Ordinal);
        Assert.Contains(Path.Combine(AppContext.BaseDirectory, $"lib{Library}.so"), listed, StringComparison.Ordinal);
        Assert.Matches(@"cuda +no +libcuda\.so\.1 was not found|cuda +yes +(?!DiCacheNative host driver)", listed);
        Assert.Contains($"NVRTC 12.99, {bait}", Devices(start, bait), StringComparison.Ordinal);
        Assert.Contains("DICACHE_CUDA_HOST is set but empty", Devices(start, ""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_GPU_that_cannot_be_used_is_noted_when_the_CPU_takes_its_place()
    {
        HostDriverLibrary library = HostDriverLibrary.Require(Library);
        library.Reset();
        library.Option("arch", 75);
        List<string> notes = [];

        CudaLibraries old = CudaLibraries.Host(Repository.File(".native", "host-driver", $"lib{Library}.so"));
        Assert.False(BackendFactory.TryDevice(old, BackendPrecision.Auto, notes.Add, out IBackend? backend));

        Assert.Null(backend);
        Assert.Equal(
            "the CPU is used although there is a GPU (DiCacheNative host driver): device 0 (DiCacheNative host driver) has compute capability "
            + "7.5; the kernels need 8.0 (Ampere) or newer",
            Assert.Single(notes));
        library.Reset();
    }

    [Fact]
    public void A_machine_without_a_GPU_gets_the_CPU_without_a_word()
    {
        List<string> notes = [];

        Assert.False(BackendFactory.TryDevice(CudaLibraries.Host("no-such-library.so"), BackendPrecision.Auto, notes.Add, out _));

        Assert.Empty(notes);
    }

    private static string Devices(string folder, string? variable)
    {
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), "devices"])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove(BackendFactory.HostDriverVariable);
        if (variable is not null)
        {
            start.Environment[BackendFactory.HostDriverVariable] = variable;
        }

        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, output + errors.Result);
        return output;
    }
}
