using System.Runtime.InteropServices;
using System.Text;

namespace DiCacheNative.Cuda.Interop;

/// <summary>
/// What may be read as code: what this user owns and nobody else can write. Unix asks the file system; on Windows a user's folders are his
/// own.
/// </summary>
internal static unsafe class FileOwner
{
    private const int CurrentFolder = -100, NoFollow = 0x100;
    private const uint TypeModeAndOwner = 0x1 | 0x2 | 0x8;
    private const int TypeMask = 0xF000, Folder = 0x4000, Regular = 0x8000, WritableByOthers = 0x12; // of group and of the rest

    private static readonly delegate* unmanaged<int, byte*, int, uint, Status*, int> s_statx =
        (delegate* unmanaged<int, byte*, int, uint, Status*, int>)Find("statx");

    private static readonly delegate* unmanaged<uint> s_geteuid = (delegate* unmanaged<uint>)Find("geteuid");

    /// <summary>True for a folder that exists and that only this user can write.</summary>
    /// <param name="path">The folder; links are followed.</param>
    /// <param name="reason">Otherwise why not, to be read after its name; empty when there is no such folder.</param>
    public static bool IsOwnFolder(string path, out string reason)
    {
        reason = "";
        if (!Directory.Exists(path))
        {
            return false;
        }

        if (!TryAsk(path, 0, out Status status))
        {
            return true;
        }

        bool shared = (status.Mode & WritableByOthers) != 0;
        reason = status.User != s_geteuid() ? "belongs to another user" : shared ? "can be written by other users" : "";
        return reason.Length == 0 && (status.Mode & TypeMask) == Folder;
    }

    /// <summary>True for a file, not a link, a pipe or a device, that this user owns.</summary>
    public static bool IsOwnFile(string path) =>
        TryAsk(path, NoFollow, out Status status)
            ? (status.Mode & TypeMask) == Regular && status.User == s_geteuid()
            : OperatingSystem.IsWindows() && File.Exists(path);

    private static bool TryAsk(string path, int flags, out Status status)
    {
        status = default;
        if (s_statx == null || s_geteuid == null)
        {
            return false;
        }

        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        fixed (Status* s = &status)
        {
            return s_statx(CurrentFolder, name, flags, TypeModeAndOwner, s) == 0;
        }
    }

    // Of the C library, which every process has loaded; absent on Windows.
    private static nint Find(string name) =>
        !OperatingSystem.IsWindows() && NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), name, out nint address)
            ? address
            : 0;

    /// <summary>struct statx: the same on every architecture.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(20)]
        public uint User;

        [FieldOffset(28)]
        public ushort Mode;
    }
}
