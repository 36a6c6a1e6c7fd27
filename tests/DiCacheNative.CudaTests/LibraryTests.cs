using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Libraries that are not there, and how failures are worded.</summary>
[Collection(HostCollection.Name)]
public sealed class LibraryTests
{
    [Fact]
    public void A_machine_without_the_libraries_gets_a_reason_and_no_exception()
    {
        CudaLibraries nowhere = CudaLibraries.Host(Path.Combine(Path.GetTempPath(), "no-such-library.so"));

        Assert.False(nowhere.Complete);
        Assert.False(CudaBackend.TryCreate(new CudaBackendOptions { Libraries = nowhere }, out CudaBackend? backend, out string reason));
        Assert.Null(backend);
        Assert.Contains("no-such-library.so", reason, StringComparison.Ordinal);
        Assert.Empty(CudaDevice.List(nowhere, out reason));
        Assert.Contains("no-such-library.so", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_library_that_lacks_entry_points_is_named_with_them()
    {
        CudaLibraries wrong = CudaLibraries.Host(typeof(object).Assembly.Location is { } core
            ? Path.Combine(Path.GetDirectoryName(core)!, OperatingSystem.IsWindows() ? "clrjit.dll" : "libclrjit.so") : "");

        Assert.False(wrong.Complete);
        Assert.Contains(wrong.Missing, m => m.Contains("cuInit", StringComparison.Ordinal));
        Assert.Contains(wrong.Missing, m => m.Contains("nvrtcCompileProgram", StringComparison.Ordinal));
    }

    [Fact]
    public void A_failure_names_the_error_the_call_and_what_the_engine_was_doing()
    {
        CudaException e = new("CUDA_ERROR_OUT_OF_MEMORY", 2, CudaException.CallText("_driver.cuMemAlloc(&address, size.Value)"), "loading a weight");

        Assert.Equal("CUDA_ERROR_OUT_OF_MEMORY (2) in cuMemAlloc(&address, size.Value) while loading a weight", e.Message);
    }

    [Theory]
    [InlineData(
        12040,
        "libnvrtc.so.12 was not found: install CUDA's NVRTC 12, or name its folder in DICACHE_CUDA_LIBRARIES "
        + "(libnvrtc.so.13 would need a newer driver: this one supports CUDA 12.4)")]
    [InlineData(
        13000,
        "libnvrtc.so.13 or libnvrtc.so.12 was not found: install CUDA's NVRTC 12 or 13, or name its folder in DICACHE_CUDA_LIBRARIES")]
    [InlineData(11080, "the NVIDIA driver supports CUDA 11.8 only: update it (525 or newer)")]
    public void A_library_newer_than_the_driver_is_not_looked_for(int version, string expected)
    {
        HostDriverLibrary library = HostBackends.Library(HostBackends.Normal);
        using TemporaryLinks folder = new(HostBackends.Normal, "libcuda.so.1");
        library.Option("version", version);
        try
        {
            CudaLibraries libraries = CudaLibraries.Search(folder.Path, [folder.Path], systemToo: false);

            Assert.Equal($"{version / 1000}.{version % 1000 / 10}", libraries.DriverVersion);
            Assert.Contains(expected, libraries.Missing);
        }
        finally
        {
            library.Option("version", 12040);
        }
    }

    [Fact]
    public void Of_two_versions_the_newest_that_the_driver_can_run_is_taken_and_the_other_named()
    {
        HostDriverLibrary library = HostBackends.Library(HostBackends.Normal);
        string[] names = ["libcuda.so.1", "libnvrtc.so.12", "libnvrtc.so.13", "libcublasLt.so.12", "libcublasLt.so.13"];
        using TemporaryLinks folder = new(HostBackends.Normal, names);
        library.Option("version", 12040);
        CudaLibraries old = CudaLibraries.Search(folder.Path, [folder.Path], systemToo: false);
        library.Option("version", 13000);
        CudaLibraries recent = CudaLibraries.Search(folder.Path, [folder.Path], systemToo: false);
        library.Option("version", 12040);

        Assert.True(old.Complete && recent.Complete, string.Join("; ", old.Missing));
        string origin = old.Origin.Replace(folder.Path + "/", "", StringComparison.Ordinal);
        Assert.Contains("libnvrtc.so.13 left aside (the driver supports CUDA 12.4), libnvrtc.so.12", origin, StringComparison.Ordinal);
        Assert.Contains("libcublasLt.so.13", recent.Origin, StringComparison.Ordinal);
        Assert.DoesNotContain("left aside", recent.Origin, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0f, 0x0000)]
    [InlineData(-1f, 0xBF80)]
    [InlineData(1.00390625f, 0x3F80)] // halfway, to even
    [InlineData(1.01171875f, 0x3F82)]
    [InlineData(float.PositiveInfinity, 0x7F80)]
    [InlineData(3.4e38f, 0x7F80)]
    public void Rounding_to_bfloat16_is_to_nearest_even(float value, int bits)
    {
        float[] values = [.. Enumerable.Repeat(value, 19)];
        ushort[] rounded = new ushort[19];

        BFloat16.Round(values, rounded);

        Assert.All(rounded, r => Assert.Equal(bits, r));
    }

    [Fact]
    public void Rounding_keeps_a_nan_whose_upper_half_would_vanish()
    {
        float nan = BitConverter.UInt32BitsToSingle(0x7F800001);
        ushort[] rounded = new ushort[20];

        BFloat16.Round([.. Enumerable.Repeat(nan, 20)], rounded);

        Assert.All(rounded, r => Assert.True((r & 0x7FFF) > 0x7F80, $"{r:X4}"));
    }

    /// <summary>A folder of links under NVIDIA's names to the host driver.</summary>
    private sealed class TemporaryLinks : IDisposable
    {
        public TemporaryLinks(string library, params string[] names)
        {
            Directory.CreateDirectory(Path);
            string target = DiCacheNative.Tests.Repository.File(".native", "host-driver", $"lib{library}.so");
            foreach (string name in names)
            {
                File.CreateSymbolicLink(System.IO.Path.Combine(Path, name), target);
            }
        }

        public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"dicache-libraries-{Guid.NewGuid():N}");

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
