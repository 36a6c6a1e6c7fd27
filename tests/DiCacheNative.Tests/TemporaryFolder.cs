namespace DiCacheNative.Tests;

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public TemporaryFolder() => Path = Directory.CreateTempSubdirectory("dicache-test-").FullName;

    public string Path { get; }

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public string Copy(string source, string name)
    {
        string target = File(name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
        System.IO.File.Copy(source, target);
        return target;
    }

    /// <summary>A folder whose files are links to those of another, except one, which is changed.</summary>
    public string Variant(string source, string changed, Func<string, string> change)
    {
        string folder = File("variant");
        foreach (string file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string relative = System.IO.Path.GetRelativePath(source, file), target = System.IO.Path.Combine(folder, relative);
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
            if (relative.Replace('\\', '/') == changed)
            {
                System.IO.File.WriteAllText(target, change(System.IO.File.ReadAllText(file)));
            }
            else
            {
                System.IO.File.CreateSymbolicLink(target, file);
            }
        }

        return folder;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
