namespace DiCacheNative.Tests.Packaging;

/// <summary>
/// All packages of the source tree as it is built, in a folder feed, with a package folder that holds what the tree was restored from and
/// nothing of this project. With it, everything works without network and no older package of ours is taken for the new one.
/// </summary>
public sealed class PackageFeed : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public PackageFeed()
    {
        if (Problem.Length > 0)
        {
            return;
        }

        DotNet.Run(Repository.File(), "pack", "DiCacheNative.sln", "-c", DotNet.Configuration, "--no-build", "-v", "q", "-o", Feed);
        Directory.CreateDirectory(_folder.File("packages"));
        foreach (string package in Directory.EnumerateDirectories(DotNet.Packages))
        {
            if (!Path.GetFileName(package).StartsWith("dicache", StringComparison.OrdinalIgnoreCase))
            {
                Directory.CreateSymbolicLink(_folder.File(Path.Combine("packages", Path.GetFileName(package))), package);
            }
        }

        File.WriteAllText(_folder.File("NuGet.config"), $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{_folder.File("packages")}" /></config>
              <packageSources><clear /><add key="packed" value="{Feed}" /></packageSources>
              <fallbackPackageFolders><clear /></fallbackPackageFolders>
            </configuration>
            """);

        // Ends the search for settings of folders above.
        File.WriteAllText(_folder.File("Directory.Build.props"), "<Project />");
        File.WriteAllText(_folder.File("Directory.Build.targets"), "<Project />");
        File.WriteAllText(_folder.File("Directory.Packages.props"), "<Project />");
    }

    /// <summary>Why the packages cannot be tried here; empty when they can.</summary>
    public string Problem { get; } = OperatingSystem.IsWindows() ? "links to the restored packages need a privilege on Windows" : "";

    /// <summary>Where the packages are.</summary>
    public string Feed => _folder.File("feed");

    /// <summary>A new folder in which NuGet knows the feed alone.</summary>
    public string CreateFolder(string name) => Directory.CreateDirectory(_folder.File(name)).FullName;

    public void Dispose() => _folder.Dispose();
}
