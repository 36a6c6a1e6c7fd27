namespace DiCacheNative.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("atomic-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Replaces_the_file_and_leaves_nothing_else()
    {
        string path = Path.Combine(_directory, "a.bin");
        File.WriteAllText(path, "old and longer");

        AtomicFile.Write(path, s => s.Write("new"u8));

        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_directory));
    }

    [Fact]
    public void Keeps_the_old_file_when_the_writer_is_cancelled()
    {
        string path = Path.Combine(_directory, "a.bin");
        File.WriteAllText(path, "old");

        Assert.Throws<OperationCanceledException>(() => AtomicFile.Write(path, s =>
        {
            s.Write("half"u8);
            throw new OperationCanceledException();
        }));

        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_directory));
    }

    [Fact]
    public void The_old_content_stays_visible_until_the_writer_is_done()
    {
        string path = Path.Combine(_directory, "a.bin");
        File.WriteAllText(path, "old");

        AtomicFile.Write(path, s =>
        {
            s.Write("new"u8);
            s.Flush();
            Assert.Equal("old", File.ReadAllText(path));
        });

        Assert.Equal("new", File.ReadAllText(path));
    }

    [Fact]
    public void A_missing_directory_is_named()
    {
        string path = Path.Combine(_directory, "none", "a.bin");

        var e = Assert.ThrowsAny<IOException>(() => AtomicFile.Write(path, _ => { }));

        Assert.Contains(Path.Combine(_directory, "none") + " does not exist", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_is_not_overwritten()
    {
        var e = Assert.ThrowsAny<IOException>(() => AtomicFile.Write(_directory, _ => { }));

        Assert.Contains("is a directory", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_full_disk_is_named()
    {
        const int NoSpaceLeft = 28;
        string path = Path.Combine(_directory, "a.bin");

        var e = Assert.ThrowsAny<IOException>(() =>
            AtomicFile.Write(path, _ => throw new IOException("No space left on device", NoSpaceLeft)));

        Assert.Equal($"{path} cannot be written: the disk is full", e.Message);
        Assert.Empty(Directory.GetFileSystemEntries(_directory));
    }

    [Fact]
    public void A_file_that_is_replaced_keeps_its_mode_and_a_link_its_place()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("modes and links are those of Unix");
            return;
        }

        string path = Path.Combine(_directory, "a.bin"), link = Path.Combine(_directory, "link"),
            dangling = Path.Combine(_directory, "dangling");
        File.WriteAllText(path, "old");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.CreateSymbolicLink(link, "a.bin");
        File.CreateSymbolicLink(dangling, "b.bin");

        AtomicFile.Write(link, s => s.Write("new"u8));
        AtomicFile.Write(dangling, s => s.Write("first"u8));

        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.Equal("a.bin", new FileInfo(link).LinkTarget);
        Assert.Equal("first", File.ReadAllText(Path.Combine(_directory, "b.bin")));
        Assert.Equal(["a.bin", "b.bin", "dangling", "link"], Names());
    }

    [Fact]
    public void What_a_killed_process_left_is_deleted_and_what_a_living_one_writes_is_not()
    {
        SkipOnWindows();
        using System.Diagnostics.Process gone = System.Diagnostics.Process.Start("true");
        gone.WaitForExit();
        string stale = Path.Combine(_directory, $".dicache-{gone.Id}-0123456789ab.tmp.mp4"),
            locked = Path.Combine(_directory, $".dicache-{gone.Id}-ba9876543210.tmp");
        string own = Path.Combine(_directory, $".dicache-{Environment.ProcessId}-0123456789ab.tmp"),
            other = Path.Combine(_directory, ".hidden.tmp");
        foreach (string file in new[] { stale, own, other })
        {
            File.WriteAllText(file, "half");
        }

        using (new FileStream(locked, FileMode.CreateNew, FileAccess.Write, FileShare.None))
        {
            AtomicFile.Write(Path.Combine(_directory, "a.bin"), s => s.Write("new"u8));

            Assert.Equal([.. new[] { own, locked, other }.Select(f => Path.GetFileName(f)!).Append("a.bin").Order(StringComparer.Ordinal)],
                Names());
        }
    }

    [Fact]
    public void A_device_is_written_to_and_stays_a_device()
    {
        SkipOnWindows();
        AtomicFile.Write("/dev/null", s => s.Write("gone"u8));

        var e = Assert.ThrowsAny<IOException>(() => AtomicFile.Write("/dev/full", s => s.Write("new"u8)));

        Assert.Equal("/dev/full cannot be written: the disk is full", e.Message);
        Assert.False(SpecialFile.Is(_directory));
        Assert.True(SpecialFile.Is("/dev/null") && SpecialFile.Is("/dev/full"));
    }

    [Fact]
    public async Task A_pipe_is_written_to_and_stays_a_pipe()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pipes are told from files on Linux");
        string path = Path.Combine(_directory, "pipe");
        using System.Diagnostics.Process made = System.Diagnostics.Process.Start("mkfifo", path);
        await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        AtomicFile.Check(path); // opens nothing, or it would wait here
        Task<string> reader = Task.Run(() => File.ReadAllText(path), TestContext.Current.CancellationToken);

        AtomicFile.Write(path, s => s.Write("new"u8));

        Assert.Equal("new", await reader);
        Assert.True(SpecialFile.Is(path));
        Assert.Equal(["pipe"], Names());
    }

    [Fact]
    public void A_name_may_have_255_bytes_and_not_one_more()
    {
        string longest = Path.Combine(_directory, new string('a', 251) + ".bin"),
            tooLong = Path.Combine(_directory, new string('a', 252) + ".bin");
        AtomicFile.Check(longest);
        AtomicFile.Write(longest, s => s.Write("new"u8));
        Assert.Equal("new", File.ReadAllText(longest));

        foreach (Action<string> act in new Action<string>[] { AtomicFile.Check, path => AtomicFile.Write(path, s => s.Write("new"u8)) })
        {
            var e = Assert.ThrowsAny<IOException>(() => act(tooLong));
            Assert.Contains("its name is too long", e.Message, StringComparison.Ordinal);
        }

        Assert.Single(Names());
    }

    [Fact]
    public void A_check_changes_nothing_and_finds_what_writing_would_find()
    {
        string path = Path.Combine(_directory, "a.bin");
        AtomicFile.Check(path);
        Assert.Empty(Names());
        Assert.ThrowsAny<IOException>(() => AtomicFile.Check(_directory));
        Assert.ThrowsAny<IOException>(() => AtomicFile.Check(path + "/"));
        Assert.ThrowsAny<IOException>(() => AtomicFile.Check(Path.Combine(_directory, "none", "a.bin")));
        File.WriteAllText(path, "old");
        AtomicFile.Check(path);
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Equal(["a.bin"], Names());
    }

    [Fact]
    public void A_disk_without_space_is_found_by_the_check_and_keeps_the_old_file()
    {
        using SmallDisk disk = new(free: 8192);
        File.WriteAllText(disk.File("a.bin"), "old");
        AtomicFile.Check(disk.File("a.bin"));

        var e = Assert.ThrowsAny<IOException>(() => AtomicFile.Write(disk.File("a.bin"), s => s.Write(new byte[1 << 15])));

        Assert.Equal($"{disk.File("a.bin")} cannot be written: the disk is full", e.Message);
        Assert.Equal("old", File.ReadAllText(disk.File("a.bin")));
        Assert.Equal(["a.bin"], disk.Names());
        disk.Fill(0);
        Assert.Contains("the disk is full", Assert.ThrowsAny<IOException>(() => AtomicFile.Check(disk.File("a.bin"))).Message,
            StringComparison.Ordinal);
    }

    private static void SkipOnWindows() => Assert.SkipWhen(OperatingSystem.IsWindows(), "modes, links and devices are those of Unix");

    private string[] Names() =>
        [.. Directory.EnumerateFileSystemEntries(_directory).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];
}
