using DiCacheNative.Weights;
using Microsoft.Win32.SafeHandles;

namespace DiCacheNative;

/// <summary>
/// Files of a model or of a trace, opened for reading. Regular files only: opening a pipe may wait for ever, and a device may never end.
/// Every failure is a <see cref="ModelFormatException"/> that names the file.
/// </summary>
internal static class InputFile
{
    /// <summary>Opens a file that has content.</summary>
    /// <param name="path">The file.</param>
    /// <param name="length">Its size in bytes, at least 1.</param>
    /// <exception cref="ModelFormatException">It is missing, empty, no regular file, or cannot be read.</exception>
    public static SafeFileHandle Open(string path, out long length)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            if (ProblemOf(path) is { } problem)
            {
                throw new ModelFormatException(path, problem);
            }

            SafeFileHandle handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            try
            {
                length = RandomAccess.GetLength(handle);
                return length > 0 ? handle : throw new ModelFormatException(path, "the file is empty; copy or download it again");
            }
            catch
            {
                handle.Dispose();
                throw;
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelFormatException(path, "there is no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw Unreadable(path, e);
        }
    }

    /// <summary>Why a path cannot be read as a file; null when it is a regular file with content.</summary>
    /// <exception cref="IOException">It cannot be told.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be told.</exception>
    public static string? ProblemOf(string path)
    {
        FileInfo file = new(path);
        file = file.LinkTarget is null ? file : file.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? file;
        if (!file.Exists)
        {
            return Directory.Exists(path) ? "this is a directory, not a file" : "there is no such file";
        }

        // Pipes and devices have no length. Asked before the file is opened, since opening a pipe waits for its writer.
        return file.Length == 0 ? "the file is empty, or it is a pipe or a device and not a file; copy or download it again" : null;
    }

    /// <summary>All bytes of a file that is not larger than a limit.</summary>
    /// <param name="path">The file.</param>
    /// <param name="limit">Most bytes it may have.</param>
    /// <param name="kind">What it is, as in "a configuration".</param>
    /// <exception cref="ModelFormatException">As <see cref="Open"/>; or it is larger than that, or ends while it is read.</exception>
    public static byte[] ReadAll(string path, int limit, string kind)
    {
        using SafeFileHandle handle = Open(path, out long length);
        if (length > limit)
        {
            throw new ModelFormatException(path, $"the file has {length} bytes, {kind} has at most {limit}: this is another file, or a damaged one");
        }

        byte[] bytes = new byte[length];
        Read(handle, path, bytes, 0);
        return bytes;
    }

    /// <summary>Fills a buffer from a place in an open file.</summary>
    /// <exception cref="ModelFormatException">The file ends before, or cannot be read.</exception>
    public static void Read(SafeFileHandle handle, string path, Span<byte> destination, long position)
    {
        try
        {
            while (!destination.IsEmpty)
            {
                int count = RandomAccess.Read(handle, destination, position);
                if (count == 0)
                {
                    throw new ModelFormatException(path,
                        $"the file ended at byte {position} while it was read: it was cut short or replaced meanwhile; copy or download it again");
                }

                destination = destination[count..];
                position += count;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw Unreadable(path, e);
        }
    }

    /// <summary>What a file is when it is not what its name says, told by its first bytes; null when nothing is known.</summary>
    /// <param name="path">The file; when it cannot be read, nothing is known.</param>
    /// <param name="expected">What it should have been.</param>
    public static string? DescribeForeign(string path, FileKind expected)
    {
        try
        {
            using SafeFileHandle handle = Open(path, out long length);
            byte[] head = new byte[Math.Min(length, ForeignFile.HeadBytes)];
            Read(handle, path, head, 0);
            return ForeignFile.Describe(head, expected);
        }
        catch (ModelFormatException)
        {
            return null;
        }
    }

    private static ModelFormatException Unreadable(string path, Exception e) => new(path, $"the file cannot be read: {e.Message}", e);
}
