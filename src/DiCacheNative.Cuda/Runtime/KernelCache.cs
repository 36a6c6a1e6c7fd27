using System.Security.Cryptography;
using System.Text;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Compiled kernels on disk. A file is named by the SHA-256 of everything its content depends on (source, included files, options,
/// compiler), so nothing ever goes stale, and begins with the SHA-256 of its content, so a damaged file is known and compiled anew. Files are
/// written under another name and then renamed: processes that start together may compile the same kernel, but never read half of one.
/// </summary>
/// <param name="compiler">Compiles what is not there.</param>
/// <param name="folder">Where the files are; it need not exist. When it cannot be written, every start compiles.</param>
/// <param name="library">Name of the set of libraries, part of the key.</param>
internal sealed class KernelCache(KernelCompiler compiler, string folder, string library)
{
    private const int HashBytes = 32;

    /// <summary>Number of kernels compiled by this object because they were not on disk.</summary>
    public int Compiled { get; private set; }

    /// <summary>The folder named by DICACHE_KERNEL_CACHE, else one in the user's cache folder.</summary>
    public static string DefaultFolder()
    {
        if (Environment.GetEnvironmentVariable("DICACHE_KERNEL_CACHE") is { Length: > 0 } named)
        {
            return named;
        }

        string caches = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } xdg
            ? xdg
            : OperatingSystem.IsWindows()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(caches, "dicache", "kernels");
    }

    /// <summary>The compiled form of all kernel files, in the order of <see cref="KernelSource.All"/>.</summary>
    /// <param name="target">As from <see cref="KernelCompiler.Target"/>.</param>
    public byte[][] Images(string target)
    {
        byte[][] images = new byte[KernelSource.All.Count][];
        try
        {
            Parallel.For(0, images.Length, i => images[i] = Image(KernelSource.All[i], target));
        }
        catch (AggregateException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return images;
    }

    /// <summary>The compiled form of one kernel file.</summary>
    public byte[] Image(KernelSource source, string target)
    {
        string path = PathOf(source, target);
        if (Read(path) is { } image)
        {
            return image;
        }

        image = compiler.Compile(source.File, source.Text, target, out _);
        lock (this)
        {
            Compiled++;
        }

        Write(path, image);
        return image;
    }

    /// <summary>Where the compiled form of a kernel file is kept.</summary>
    public string PathOf(KernelSource source, string target)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string part in (string[])[source.Text, .. KernelSource.Headers.SelectMany(h => (string[])[h.File, h.Text]), .. KernelCompiler.Options(target), compiler.Version, library])
        {
            byte[] bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        string stem = Path.GetFileNameWithoutExtension(source.File);
        return Path.Combine(folder, $"{stem}-{target}-{Convert.ToHexStringLower(hash.GetHashAndReset())}.bin");
    }

    private static byte[]? Read(string path)
    {
        try
        {
            byte[] file = File.ReadAllBytes(path);
            return file.Length > HashBytes && SHA256.HashData(file.AsSpan(HashBytes)).AsSpan().SequenceEqual(file.AsSpan(0, HashBytes))
                ? file[HashBytes..]
                : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private void Write(string path, byte[] image)
    {
        string unfinished = $"{path}.{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(unfinished, [.. SHA256.HashData(image), .. image]);
            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full or read-only disk costs compile time, nothing else.
            TryDelete(unfinished);
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Left behind; it is never read.
        }
    }
}
