using System.Runtime.InteropServices;

namespace DiCacheNative;

/// <summary>
/// Tells devices, pipes and sockets, which are written to, from files, which are replaced: a rename would put a file in their place.
/// </summary>
internal static partial class SpecialFile
{
    private const int CurrentFolder = -100;
    private const uint WantType = 1;
    private const int TypeMask = 0xF000;
    private const int Regular = 0x8000;
    private const int Folder = 0x4000;

    /// <summary>Whether there is something at a path, after links, that is neither a file nor a directory.</summary>
    public static unsafe bool Is(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            return false;
        }

        string full = Path.GetFullPath(path);
        if (IsNameOfSystem(full) && File.Exists(full))
        {
            return true;
        }

        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        // struct statx: the same on every architecture, with the mode at byte 28.
        byte* status = stackalloc byte[256];
        try
        {
            return Stat(CurrentFolder, full, 0, WantType, status) == 0 && (*(ushort*)(status + 28) & TypeMask) is not (Regular or Folder);
        }
        catch (EntryPointNotFoundException)
        {
            return false;
        }
    }

    // A standard stream can be a file, but its name in /dev is no place to put another.
    private static bool IsNameOfSystem(string path) =>
        path.StartsWith("/proc/", StringComparison.Ordinal)
        || (path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal));

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Stat(int folder, string path, int flags, uint mask, byte* status);
}
