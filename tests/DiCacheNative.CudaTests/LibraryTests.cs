using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Libraries that are not there, and how failures are worded.</summary>
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
        CudaLibraries wrong = CudaLibraries.Host(typeof(object).Assembly.Location is { } core ? Path.Combine(Path.GetDirectoryName(core)!, OperatingSystem.IsWindows() ? "clrjit.dll" : "libclrjit.so") : "");

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
}
