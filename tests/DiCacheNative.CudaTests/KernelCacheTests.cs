using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Compiled kernels on disk.</summary>
public sealed class KernelCacheTests : IDisposable
{
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"dicache-kernels-{Guid.NewGuid():N}");
    private static KernelSource Source => KernelSource.All.Single(s => s.File == "subtract.cu");

    [Fact]
    public void A_kernel_is_compiled_once_and_read_from_disk_afterwards()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache first = new(compiler, _folder, "test"), second = new(compiler, _folder, "test");

        byte[] compiled = first.Image(Source, "sm_80"), read = second.Image(Source, "sm_80");

        Assert.Equal(compiled, read);
        Assert.Equal((1, 0), (first.Compiled, second.Compiled));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(20)]
    [InlineData(-1)]
    public void A_damaged_file_is_compiled_anew_and_replaced(int keep)
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache cache = new(compiler, _folder, "test");
        byte[] compiled = cache.Image(Source, "sm_80");
        string path = cache.PathOf(Source, "sm_80");
        byte[] file = File.ReadAllBytes(path);
        if (keep < 0)
        {
            file[^1] ^= 1;
        }

        File.WriteAllBytes(path, keep < 0 ? file : file[..keep]);

        Assert.Equal(compiled, cache.Image(Source, "sm_80"));
        Assert.Equal(2, cache.Compiled);
        Assert.Equal(compiled, cache.Image(Source, "sm_80"));
        Assert.Equal(2, cache.Compiled);
    }

    [Fact]
    public void Many_writers_at_once_leave_one_whole_file()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache[] caches = [.. Enumerable.Range(0, 6).Select(_ => new KernelCache(compiler, _folder, "test"))];
        byte[][] images = new byte[caches.Length][];

        Parallel.For(0, caches.Length, i => images[i] = caches[i].Image(Source, "sm_80"));

        KernelCache reader = new(compiler, _folder, "test");
        Assert.All(images, image => Assert.Equal(images[0], image));
        Assert.Equal(images[0], reader.Image(Source, "sm_80"));
        Assert.Equal(0, reader.Compiled);
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_costs_nothing_but_time()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        Directory.CreateDirectory(_folder);
        string file = Path.Combine(_folder, "a-file-where-a-folder-should-be");
        File.WriteAllText(file, "");
        KernelCache cache = new(compiler, file, "test");

        Assert.NotEmpty(cache.Image(Source, "sm_80"));
        Assert.NotEmpty(cache.Image(Source, "sm_80"));
        Assert.Equal(2, cache.Compiled);
    }

    [Fact]
    public void Other_targets_and_libraries_have_other_files()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache cache = new(compiler, _folder, "test"), other = new(compiler, _folder, "other");

        string[] paths = [cache.PathOf(Source, "sm_80"), cache.PathOf(Source, "sm_90"), other.PathOf(Source, "sm_80"), cache.PathOf(KernelSource.All[0], "sm_80")];

        Assert.Equal(paths.Length, paths.Distinct().Count());
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }
}
