namespace DiCacheNative;

/// <summary>
/// Writes a file completely or not at all: readers see the old content or the new, never half of it, and a failed or cancelled write
/// leaves nothing behind. A file that is replaced keeps its mode, and a link its place: the file it points to is replaced.
/// </summary>
public static class AtomicFile
{
    /// <summary>
    /// Writes a file under a temporary name in the same directory, flushes it to the disk, then renames it over <paramref name="path"/>.
    /// A device or a pipe is written to as it is.
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
        if (SpecialFile.Is(path))
        {
            WriteThrough(path, write);
            return;
        }

        using PendingFile file = PendingFile.Create(path);
        FileFailure.Named(path, () => write(file.Stream));
        file.Commit();
    }

    /// <summary>
    /// Does everything that writing would do and changes nothing: a temporary file is created, written to, flushed and deleted.
    /// </summary>
    /// <param name="path">The file that will be written.</param>
    /// <exception cref="IOException">As <see cref="Write"/>.</exception>
    public static void Check(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (SpecialFile.Is(path))
        {
            return; // opening a pipe would wait for its reader
        }

        using PendingFile file = PendingFile.Create(path);
        FileFailure.Named(path, () =>
        {
            file.Stream.Write(new byte[1 << 12]);
            file.Stream.Flush(flushToDisk: true);
        });
    }

    // The content is made in memory first: a pipe cannot seek, and half a file is not taken back.
    private static void WriteThrough(string path, Action<Stream> write)
    {
        using MemoryStream content = new();
        write(content);
        FileFailure.Named(path, () =>
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            content.WriteTo(stream);
        });
    }
}
