namespace DiCacheNative;

/// <summary>
/// Writes a file completely or not at all: readers see the old content or the new, never half of it, and a failed or cancelled write
/// leaves nothing behind.
/// </summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a file under a temporary name in the same directory, flushes it to the disk, then renames it over <paramref name="path"/>.
    /// </summary>
    /// <param name="path">The file to create or replace. Its directory must exist.</param>
    /// <param name="write">
    /// Writes the content; the stream can seek. What it throws (a cancellation, say) is passed on after the temporary file is deleted.
    /// </param>
    /// <exception cref="IOException">
    /// The directory is missing, the disk is full, the path is a directory, or access is denied; one sentence names the file and the cause.
    /// </exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);

        string full = Path.GetFullPath(path);
        string directory = Path.GetDirectoryName(full) ?? "";
        if (Directory.Exists(full))
        {
            throw new IOException($"{path} cannot be written: it is a directory, name a file in it");
        }

        if (!Directory.Exists(directory))
        {
            throw new DirectoryNotFoundException($"{path} cannot be written: the directory {directory} does not exist, create it first");
        }

        // The same directory, because a rename is only atomic within one file system.
        string temporary = Path.Combine(directory, $".{Path.GetRandomFileName()}.tmp");
        FileStream stream = Attempt(path, () => new FileStream(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None));
        bool renamed = false;
        try
        {
            using (stream)
            {
                write(stream);
                Attempt(path, () => stream.Flush(flushToDisk: true));
            }

            Attempt(path, () => File.Move(temporary, full, overwrite: true));
            renamed = true;
        }
        catch (IOException e) when (IsDiskFull(e))
        {
            throw new IOException($"{path} cannot be written: the disk is full", e);
        }
        finally
        {
            if (!renamed)
            {
                Delete(temporary);
            }
        }
    }

    // ENOSPC, EDQUOT; ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL.
    private static bool IsDiskFull(Exception e) =>
        e.HResult is 28 or 122 or unchecked((int)0x80070027) or unchecked((int)0x80070070)
        || (e.InnerException is IOException inner && IsDiskFull(inner));

    private static void Attempt(string path, Action action) => Attempt(path, () =>
    {
        action();
        return true;
    });

    private static T Attempt<T>(string path, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{path} cannot be written: no permission to create files in its directory", e);
        }
        catch (IOException e)
        {
            throw new IOException($"{path} cannot be written: {e.Message}", e);
        }
    }

    // Best effort: a second failure must not hide the first one.
    private static void Delete(string temporary)
    {
        try
        {
            File.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
