using System.Text.Json;

namespace DiCacheNative.Tests.Packaging;

/// <summary>Publishing for another platform: which native files go along, and what it leaves behind. Nothing is compiled.</summary>
public sealed class PublishTests
{
    [Theory]
    [InlineData("linux-arm64", "libonnxruntime.so", "libonnxruntime_providers_shared.so")]
    [InlineData("win-x64", "onnxruntime.dll", "onnxruntime_providers_shared.dll")]
    public void A_publish_carries_the_native_files_of_its_platform_alone_and_leaves_the_lock_files(string platform, params string[] native)
    {
        using TemporaryFolder copy = new();
        string[] locks = CopyProjects(copy.Path);
        byte[][] before = [.. locks.Select(File.ReadAllBytes)];
        string project = Path.Combine("src", "DiCacheNative.Cli");

        // The program that starts the .NET program would come from a package of its own for another platform; it is not of interest here.
        string[] settings =
        [
            $"-p:RuntimeIdentifier={platform}", "-p:SelfContained=false", "-p:UseAppHost=false", "-p:NuGetAudit=false",
            "-p:BuildProjectReferences=false", "-p:NoBuild=true", "-nologo",
        ];
        DotNet.Run(copy.Path, ["msbuild", project, "-t:Restore", "-v:q", .. settings]);
        string json = DotNet.Run(
            copy.Path,
            ["msbuild", project, "-t:ComputeResolvedFilesToPublishList", "-getItem:ResolvedFileToPublish", .. settings]);
        using JsonDocument document = JsonDocument.Parse(json);
        IEnumerable<string> files = document.RootElement.GetProperty("Items").GetProperty("ResolvedFileToPublish").EnumerateArray()
            .Where(f => f.TryGetProperty("AssetType", out JsonElement type) && type.GetString() == "native")
            .Select(f => f.GetProperty("RelativePath").GetString()!.Replace('\\', '/'));
        Assert.Equal(native.Order(StringComparer.Ordinal), files.Order(StringComparer.Ordinal));

        Assert.Equal(before, locks.Select(File.ReadAllBytes));
        DotNet.Run(copy.Path, "restore", project, "--locked-mode", "-v", "q", "-p:NuGetAudit=false");
    }

    // Projects and their settings, without any source.
    private static string[] CopyProjects(string target)
    {
        string root = Repository.File();
        List<string> files = [.. Directory.EnumerateFiles(root, "Directory.*")];
        foreach (string folder in Directory.EnumerateDirectories(Path.Combine(root, "src")))
        {
            files.AddRange(Directory.EnumerateFiles(folder, "*.csproj"));
            files.AddRange(Directory.EnumerateFiles(folder, "packages.lock.json"));
        }

        files.AddRange(Directory.EnumerateFiles(Path.Combine(root, "src"), "Directory.*"));
        files.AddRange(Directory.EnumerateFiles(Path.Combine(root, "src"), "*.targets", SearchOption.AllDirectories)
            .Where(p => !p.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal)));
        foreach (string file in files)
        {
            string copy = Path.Combine(target, Path.GetRelativePath(root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        return [.. Directory.EnumerateFiles(target, "packages.lock.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
    }
}
