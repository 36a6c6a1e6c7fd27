using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;

namespace DiCacheNative;

/// <summary>
/// A file under its temporary name, ".dicache-PROCESS-RANDOM.tmp" in the directory of the file it will replace: short, so that every name
/// the file system takes can be written, and with the process in it, so that what a killed process left is found and deleted by the
/// next one.
/// </summary>
internal sealed class PendingFile : IDisposable
{
    private const string Prefix = ".dicache-";
    private const string Suffix = ".tmp";
    private static readonly ConcurrentDictionary<string, bool> s_swept = new();

    private readonly string _path;
    private readonly string _target;
    private bool _renamed;

    private PendingFile(string path, string target, string name, FileStream stream) =>
        (_path, _target, Name, Stream) = (path, target, name, stream);

    /// <summary>The temporary file.</summary>
    public string Name { get; }

    /// <summary>Its content. It is locked against other programs of this kind as long as this is open.</summary>
    public FileStream Stream { get; }

    /// <summary>Creates the temporary file.</summary>
    /// <param name="path">The file to create or replace. A link is followed.</param>
    /// <param name="extension">What the temporary name ends in, for programs that take the format from it.</param>
    /// <exception cref="IOException">The file cannot be written; one sentence says why.</exception>
    public static PendingFile Create(string path, string extension = "")
    {
        string target = FileFailure.Named(path, () => Target(path)), directory = Path.GetDirectoryName(target) ?? string.Empty;
        if (Directory.Exists(target) || Path.EndsInDirectorySeparator(path))
        {
            throw FileFailure.Of(path, "it is a directory, name a file in it");
        }

        if (!Directory.Exists(directory))
        {
            throw new DirectoryNotFoundException($"{path} cannot be written: the directory {directory} does not exist, create it first");
        }

        if (s_swept.TryAdd(directory, true))
        {
            Sweep(directory);
        }

        return FileFailure.Named(path, () =>
        {
            // Asked of the file system itself: whether it takes the name, and whether an old file may be changed.
            UnixFileMode? mode = null;
            if (IsThere(target))
            {
                using FileStream old = new(target, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
                mode = OperatingSystem.IsWindows() ? null : File.GetUnixFileMode(old.SafeFileHandle) & (UnixFileMode)0x1FF;
            }

            string random = Guid.NewGuid().ToString("N")[..12];
            string name = Path.Combine(
                directory, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}-{random}{Suffix}{extension}"));
            FileStreamOptions options = new()
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                // a lock that other programs need not respect
                Share = OperatingSystem.IsWindows() ? FileShare.ReadWrite | FileShare.Delete : FileShare.None,
            };
            if (mode is not null && !OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            PendingFile file = new(path, target, name, new FileStream(name, options));
            try
            {
                if (mode is { } same && !OperatingSystem.IsWindows())
                {
                    File.SetUnixFileMode(file.Stream.SafeFileHandle, same);
                }

                return file;
            }
            catch
            {
                file.Dispose();
                throw;
            }
        });
    }

    /// <summary>Flushes the content to the disk and closes it; the name is still the temporary one.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Close() => FileFailure.Named(_path, () =>
    {
        if (Stream.CanWrite)
        {
            Stream.Flush(flushToDisk: true);
            Stream.Dispose();
        }
    });

    /// <summary>Flushes the content to the disk and gives the file its name.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Commit()
    {
        Close();
        FileFailure.Named(_path, () => File.Move(Name, _target, overwrite: true));
        _renamed = true;
    }

    /// <summary>Deletes the temporary file, unless it got its name.</summary>
    public void Dispose()
    {
        // Best effort: a second failure must not hide the first one.
        Quietly(Stream.Dispose);
        if (!_renamed)
        {
            Quietly(() => File.Delete(Name));
        }
    }

    /// <summary>The file that a path stands for: links are followed, also to where nothing is yet.</summary>
    private static string Target(string path)
    {
        string full = Path.GetFullPath(path);
        return new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
    }

    private static bool IsThere(string path)
    {
        try
        {
            _ = File.GetAttributes(path);
            return true;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return false;
        }
    }

    /// <summary>
    /// Deletes temporary files of processes that are gone. A lock tells those that live in another container, where process numbers are
    /// others.
    /// </summary>
    private static void Sweep(string directory) => Quietly(() =>
    {
        foreach (string left in Directory.EnumerateFiles(directory, $"{Prefix}*{Suffix}*"))
        {
            string[] parts = Path.GetFileName(left)[Prefix.Length..].Split('-', 2);
            if (parts.Length == 2 && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                && !IsAlive(process))
            {
                Quietly(() =>
                {
                    using FileStream _ = new(left, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
                    File.Delete(left);
                });
            }
        }
    });

    private static bool IsAlive(int process)
    {
        try
        {
            using Process _ = Process.GetProcessById(process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static void Quietly(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
