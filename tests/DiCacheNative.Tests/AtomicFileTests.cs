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

        var e = Assert.ThrowsAny<IOException>(() => AtomicFile.Write(path, _ => throw new IOException("No space left on device", NoSpaceLeft)));

        Assert.Equal($"{path} cannot be written: the disk is full", e.Message);
        Assert.Empty(Directory.GetFileSystemEntries(_directory));
    }
}
