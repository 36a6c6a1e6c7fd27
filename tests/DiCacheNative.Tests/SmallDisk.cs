using System.Diagnostics;

namespace DiCacheNative.Tests;

/// <summary>A disk of 64 KiB, mounted in a folder of its own; the test is skipped where that is not allowed.</summary>
internal sealed class SmallDisk : IDisposable
{
    private const int Size = 64 * 1024;

    private readonly TemporaryFolder _folder = new();

    /// <summary>Mounts the disk.</summary>
    /// <param name="free">Bytes that are left on it, in pages of 4096.</param>
    public SmallDisk(int free = Size)
    {
        if (!OperatingSystem.IsLinux() || !Environment.IsPrivilegedProcess)
        {
            _folder.Dispose();
            Assert.Skip("mounting a small disk needs Linux and root");
        }

        string[] arguments = ["-t", "tmpfs", "-o", $"size={Size}", "tmpfs", Path];
        if (Run("mount", arguments) != 0)
        {
            _folder.Dispose();
            Assert.Skip("mounting a small disk is not allowed here");
        }

        Fill(free);
    }

    public string Path => _folder.Path;

    /// <summary>Leaves this many bytes free.</summary>
    public void Fill(int free)
    {
        System.IO.File.Delete(File("filler"));
        long fill = new DriveInfo(Path).AvailableFreeSpace - free;
        if (fill > 0)
        {
            System.IO.File.WriteAllBytes(File("filler"), new byte[fill]);
        }
    }

    /// <summary>Lets nothing be changed any more.</summary>
    public void MakeReadOnly() =>
        Assert.SkipWhen(Run("mount", ["-o", "remount,ro", Path]) != 0, "making a disk read-only is not allowed here");

    public string File(string name) => _folder.File(name);

    /// <summary>Names of what is there, without the filler.</summary>
    public string[] Names() =>
        [.. Directory.EnumerateFileSystemEntries(Path)
            .Select(p => System.IO.Path.GetFileName(p)!).Where(n => n != "filler").Order(StringComparer.Ordinal)];

    public void Dispose()
    {
        if (Run("umount", [Path]) != 0)
        {
            _ = Run("umount", ["-l", Path]);
        }

        _folder.Dispose();
    }

    private static int Run(string program, string[] arguments)
    {
        using Process process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
