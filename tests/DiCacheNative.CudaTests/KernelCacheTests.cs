using System.Runtime.Versioning;
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

        byte[] compiled = first.Image(Source, "sm_80").Bytes, read = second.Image(Source, "sm_80").Bytes;

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
        byte[] compiled = cache.Image(Source, "sm_80").Bytes;
        string path = cache.PathOf(Source, "sm_80")!;
        byte[] file = File.ReadAllBytes(path);
        if (keep < 0)
        {
            file[^1] ^= 1;
        }

        File.WriteAllBytes(path, keep < 0 ? file : file[..keep]);

        Assert.Equal(compiled, cache.Image(Source, "sm_80").Bytes);
        Assert.Equal(2, cache.Compiled);
        Assert.Equal(compiled, cache.Image(Source, "sm_80").Bytes);
        Assert.Equal(2, cache.Compiled);
    }

    [Fact]
    public void Many_writers_at_once_leave_one_whole_file()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache[] caches = [.. Enumerable.Range(0, 6).Select(_ => new KernelCache(compiler, _folder, "test"))];
        byte[][] images = new byte[caches.Length][];

        Parallel.For(0, caches.Length, i => images[i] = caches[i].Image(Source, "sm_80").Bytes);

        KernelCache reader = new(compiler, _folder, "test");
        Assert.All(images, image => Assert.Equal(images[0], image));
        Assert.Equal(images[0], reader.Image(Source, "sm_80").Bytes);
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

        Assert.NotEmpty(cache.Image(Source, "sm_80").Bytes);
        Assert.NotEmpty(cache.Image(Source, "sm_80").Bytes);
        Assert.Equal(2, cache.Compiled);
    }

    [Fact]
    public void Other_targets_and_libraries_have_other_files()
    {
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache cache = new(compiler, _folder, "test"), other = new(compiler, _folder, "other");

        string?[] paths = [cache.PathOf(Source, "sm_80"), cache.PathOf(Source, "sm_90"), other.PathOf(Source, "sm_80"),
            cache.PathOf(KernelSource.All[0], "sm_80")];

        Assert.Equal(paths.Length, paths.Distinct().Count());
    }

    [Theory]
    [InlineData(UnixFileMode.OtherWrite, "can be written by other users")]
    [InlineData(UnixFileMode.GroupWrite, "can be written by other users")]
    [UnsupportedOSPlatform("windows")]
    public void A_folder_that_others_can_write_is_neither_read_nor_written(UnixFileMode mode, string reason)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "folders of a user are his own there");
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        new KernelCache(compiler, _folder, "test").Image(Source, "sm_80");
        string[] before = Directory.GetFiles(_folder);
        File.SetUnixFileMode(_folder, File.GetUnixFileMode(_folder) | mode);
        KernelCache cache = new(compiler, _folder, "test");

        Assert.False(cache.Image(Source, "sm_80").FromDisk);
        Assert.False(cache.Image(KernelSource.All[0], "sm_80").FromDisk);

        Assert.Equal($"compiled kernels are not kept, so every start compiles them: the folder {_folder} {reason}", cache.Refusal);
        Assert.Equal(before, Directory.GetFiles(_folder));
    }

    [Fact]
    [UnsupportedOSPlatform("windows")]
    public void A_folder_of_another_user_is_not_used()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && !OperatingSystem.IsWindows(), "only root can give a folder away");
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Run("chown", "12345", _folder);

        Assert.Contains("belongs to another user", new KernelCache(compiler, _folder, "test").Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pipe_a_link_or_a_folder_in_the_place_of_a_kernel_is_not_read()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "pipes are no files there");
        KernelCompiler compiler = new(Natives.RequireNvrtc().Nvrtc!);
        KernelCache cache = new(compiler, _folder, "test");
        byte[] compiled = cache.Image(Source, "sm_80").Bytes;
        string path = cache.PathOf(Source, "sm_80")!, elsewhere = path + ".elsewhere";

        File.Move(path, elsewhere);
        File.CreateSymbolicLink(path, elsewhere);
        Assert.False(cache.Image(Source, "sm_80").FromDisk);
        File.Delete(path);
        Run("mkfifo", path);
        Assert.False(cache.Image(Source, "sm_80").FromDisk); // a pipe nobody writes to never ends
        File.Delete(path);
        Directory.CreateDirectory(path);
        Assert.Equal(compiled, cache.Image(Source, "sm_80").Bytes);
        Directory.Delete(path);
        Assert.False(cache.Image(Source, "sm_80").FromDisk);
        Assert.True(cache.Image(Source, "sm_80").FromDisk);
    }

    [Fact]
    public void A_relative_cache_folder_of_the_system_is_ignored()
    {
        string? before = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        bool chosen = Environment.GetEnvironmentVariable("DICACHE_KERNEL_CACHE") is not null;
        Assert.SkipWhen(OperatingSystem.IsWindows() || chosen, "the folder is chosen otherwise here");
        try
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", "here");
            string? ignored = KernelCache.DefaultFolder();
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", "/somewhere");
            string? taken = KernelCache.DefaultFolder();

            Assert.Equal("/somewhere/dicache/kernels", taken);
            Assert.True(ignored is null || Path.IsPathFullyQualified(ignored), ignored);
        }
        finally
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", before);
        }
    }

    private static void Run(string program, params string[] arguments)
    {
        using System.Diagnostics.Process process = System.Diagnostics.Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    public void Dispose()
    {
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }
}
