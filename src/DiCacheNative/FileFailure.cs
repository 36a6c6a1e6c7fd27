namespace DiCacheNative;

/// <summary>What went wrong with a file that was to be written, in one sentence.</summary>
internal static class FileFailure
{
    // errno, and HRESULTs of Windows.
    private const int ReadOnlyFileSystem = 30;
    private const int NoSpaceLeft = 28;
    private const int QuotaExceeded = 122;
    private const int QuotaExceededOnMac = 69;
    private const int WindowsHandleDiskFull = unchecked((int)0x80070027);
    private const int WindowsDiskFull = unchecked((int)0x80070070);

    /// <summary>Runs a piece of work on a file; a failure of the file system names the file and says why.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Named(string path, Action work) => Named(path, () =>
    {
        work();
        return true;
    });

    /// <inheritdoc cref="Named(string, Action)"/>
    public static T Named<T>(string path, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw e.Message.StartsWith(Beginning(path), StringComparison.Ordinal) ? e : new IOException($"{Beginning(path)}{Reason(e)}", e);
        }
    }

    /// <summary>The failure of a file for a reason that is known.</summary>
    public static IOException Of(string path, string reason) => new($"{Beginning(path)}{reason}");

    /// <summary>Whether the disk was full, or the user's share of it.</summary>
    public static bool IsDiskFull(Exception? e) =>
        e is not null && (e.HResult is NoSpaceLeft or QuotaExceeded or QuotaExceededOnMac or WindowsHandleDiskFull or WindowsDiskFull
            || IsDiskFull(e.InnerException));

    private static string Beginning(string path) => $"{path} cannot be written: ";

    private static string Reason(Exception e) => e switch
    {
        _ when IsDiskFull(e) => "the disk is full",
        { HResult: ReadOnlyFileSystem } => "the file system is read-only",
        UnauthorizedAccessException => "no permission to write it, or to create files in its directory",
        PathTooLongException => "its name is too long for the file system, shorten it",
        _ => e.Message,
    };
}
