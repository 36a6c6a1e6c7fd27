using System.Security.Cryptography;
using System.Text;
using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Compiled kernels on disk. A file is named by the SHA-256 of everything its content depends on (source, included files, options,
/// compiler), so nothing ever goes stale, and begins with the SHA-256 of its content, so a damaged file is known and compiled anew. Files are
/// written under another name and then renamed: processes that start together may compile the same kernel, but never read half of one.
/// </summary>
/// <remarks>
/// A hash that anybody can compute keeps nobody from planting code: the folder must be the user's own, and nobody else able to write it.
/// Another one is neither read nor written.
/// </remarks>
internal sealed class KernelCache
{
    private const int HashBytes = 32;
    private readonly KernelCompiler _compiler;
    private readonly string? _folder;
    private readonly string _library;

    /// <summary>Opens the cache.</summary>
    /// <param name="compiler">Compiles what is not there.</param>
    /// <param name="folder">Where the files are; it need not exist. When it cannot be written, or is null, every start compiles.</param>
    /// <param name="library">Name of the set of libraries, part of the key.</param>
    public KernelCache(KernelCompiler compiler, string? folder, string library)
    {
        (_compiler, _folder, _library) = (compiler, folder is null ? null : Path.GetFullPath(folder), library);
        if (_folder is not null && !FileOwner.IsOwnFolder(_folder, out string reason) && reason.Length > 0)
        {
            Refusal = $"compiled kernels are not kept, so every start compiles them: the folder {_folder} {reason}";
            _folder = null;
        }
    }

    /// <summary>Number of kernels compiled by this object because they were not on disk.</summary>
    public int Compiled { get; private set; }

    /// <summary>Why the folder is not used, in a sentence for the user; empty when it is.</summary>
    public string Refusal { get; } = "";

    /// <summary>The folder named by DICACHE_KERNEL_CACHE, else one in the user's cache folder; null when the user has none.</summary>
    public static string? DefaultFolder()
    {
        if (Environment.GetEnvironmentVariable("DICACHE_KERNEL_CACHE") is { Length: > 0 } named)
        {
            return named;
        }

        // A relative path would mean another folder wherever the program is started: the specification says to ignore it.
        string caches = Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { } xdg && Path.IsPathFullyQualified(xdg)
            ? xdg
            : OperatingSystem.IsWindows()
                ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.IsPathFullyQualified(caches) ? Path.Combine(caches, "dicache", "kernels") : null;
    }

    /// <summary>The compiled form of all kernel files, in the order of <see cref="KernelSource.All"/>.</summary>
    /// <param name="target">As from <see cref="KernelCompiler.Target"/>.</param>
    public KernelImage[] Images(string target)
    {
        KernelImage[] images = new KernelImage[KernelSource.All.Count];
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
    public KernelImage Image(KernelSource source, string target)
    {
        string? path = PathOf(source, target);
        return path is not null && Read(path) is { } image ? new KernelImage(image, FromDisk: true) : Compile(source, target);
    }

    /// <summary>Compiles one kernel file whatever is on disk, and puts it there.</summary>
    public KernelImage Compile(KernelSource source, string target)
    {
        byte[] image = _compiler.Compile(source.File, source.Text, target, out _);
        lock (this)
        {
            Compiled++;
        }

        if (PathOf(source, target) is { } path)
        {
            Write(path, image);
        }

        return new KernelImage(image, FromDisk: false);
    }

    /// <summary>Where the compiled form of a kernel file is kept; null when it is not.</summary>
    public string? PathOf(KernelSource source, string target)
    {
        if (_folder is null)
        {
            return null;
        }

        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        string[] parts =
        [
            source.Text,
            .. KernelSource.Headers.SelectMany(h => (string[])[h.File, h.Text]),
            .. KernelCompiler.Options(target),
            _compiler.Version,
            _library,
        ];
        foreach (string part in parts)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(part);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        string stem = Path.GetFileNameWithoutExtension(source.File);
        return Path.Combine(_folder, $"{stem}-{target}-{Convert.ToHexStringLower(hash.GetHashAndReset())}.bin");
    }

    private static byte[]? Read(string path)
    {
        try
        {
            // Anything but a file of the user's own (a pipe would not even end) is replaced when the kernel has been compiled.
            byte[] file = FileOwner.IsOwnFile(path) ? File.ReadAllBytes(path) : [];
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
            CreateFolder();
            File.WriteAllBytes(unfinished, [.. SHA256.HashData(image), .. image]);
            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full or read-only disk costs compile time, nothing else.
            TryDelete(unfinished);
        }
    }

    private void CreateFolder()
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(_folder!);
        }
        else
        {
            Directory.CreateDirectory(_folder!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
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

/// <summary>A compiled kernel file.</summary>
/// <param name="Bytes">A cubin or PTX.</param>
/// <param name="FromDisk">True when it was not compiled just now.</param>
internal readonly record struct KernelImage(byte[] Bytes, bool FromDisk);
