using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;
using DiCacheNative.Imaging;
using DiCacheNative.Tests.Cli;

namespace DiCacheNative.Tests.Packaging;

/// <summary>What the packages hold, and that they are all that a program elsewhere needs.</summary>
public sealed class PackageTests(PackageFeed feed) : IClassFixture<PackageFeed>
{
    private static readonly string[] s_generate =
    [
        "generate", "-m", DiCacheProgram.ModelFolder, "-p", "a green star", "-s", "3", "--steps", "8", "--cache-mode", "dicache", "-q", "-o", "picture.png",
    ];

    [Fact]
    public void Packages_carry_our_name_a_licence_a_readme_documentation_and_symbols()
    {
        Assert.SkipUnless(feed.Problem.Length == 0, feed.Problem);
        string[] packages = [.. Directory.EnumerateFiles(feed.Feed, "*.nupkg").Order(StringComparer.Ordinal)];
        Assert.Contains(packages, p => Path.GetFileName(p).StartsWith("DiCacheNative.0", StringComparison.Ordinal));
        Assert.Contains(packages, p => Path.GetFileName(p).StartsWith("dicache.0", StringComparison.Ordinal));
        foreach (string path in packages)
        {
            using ZipArchive package = ZipFile.OpenRead(path);
            string[] files = [.. package.Entries.Select(e => e.FullName)];
            using Stream stream = package.Entries.Single(e => e.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).Open();
            XElement about = XDocument.Load(stream).Root!.Elements().Single();
            string Value(string name) => about.Elements().SingleOrDefault(e => e.Name.LocalName == name)?.Value ?? "";
            string id = Value("id");
            Assert.True(id == "dicache" || id == "DiCacheNative" || id.StartsWith("DiCacheNative.", StringComparison.Ordinal), id);
            Assert.Equal(("MIT", "README.md"), (Value("license"), Value("readme")));
            Assert.False(Value("description") is "" or "Package Description", id);
            Assert.Contains("README.md", files);
            Assert.Contains("NOTICE", files);
            if (id == "dicache")
            {
                Assert.DoesNotContain(files, f => f.Contains("/android/", StringComparison.Ordinal));
                Assert.DoesNotContain(files, f => f.Contains("/ios/", StringComparison.Ordinal));
                continue;
            }

            string library = Assert.Single(files, f => f.EndsWith(".dll", StringComparison.Ordinal));
            Assert.Contains(Path.ChangeExtension(library, ".xml"), files);
            using ZipArchive symbols = ZipFile.OpenRead(Path.ChangeExtension(path, ".snupkg"));
            Assert.Contains(symbols.Entries, e => e.FullName == Path.ChangeExtension(library, ".pdb"));
        }
    }

    [Fact]
    public void A_new_project_with_the_package_DiCacheNative_draws_what_this_tree_draws()
    {
        Assert.SkipUnless(feed.Problem.Length == 0, feed.Problem);
        string folder = feed.CreateFolder("consumer");
        File.WriteAllText(Path.Combine(folder, "consumer.csproj"), """
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <OutputType>Exe</OutputType>
                <TargetFramework>net10.0</TargetFramework>
                <ImplicitUsings>enable</ImplicitUsings>
                <NuGetAudit>false</NuGetAudit>
              </PropertyGroup>
            </Project>
            """);
        File.WriteAllText(Path.Combine(folder, "Program.cs"), """
            using DiCacheNative;
            using DiCacheNative.Imaging;

            using Engine engine = Engine.Load(args[0]);
            GenerationResult result = await engine.GenerateAsync(new GenerationRequest
            {
                Prompt = "a green star", Seed = 3, Steps = 8, Cache = CacheOptions.DiCache(),
            });
            result.Images[0].Save(args[1]);
            """);
        DotNet.Run(folder, "add", "package", "DiCacheNative");
        DotNet.Run(folder, "build", "-c", "Release", "-v", "q", "-o", "out");
        DotNet.Run(folder, "exec", Path.Combine("out", "consumer.dll"), DiCacheProgram.ModelFolder, "picture.png");
        Assert.Equal(FromThisTree(), ImageFile.Load(Path.Combine(folder, "picture.png")).Pixels.ToArray());
    }

    [Fact]
    public void The_tool_dicache_is_installed_from_a_folder_and_draws_what_this_tree_draws()
    {
        Assert.SkipUnless(feed.Problem.Length == 0, feed.Problem);
        string folder = feed.CreateFolder("tool");
        DotNet.Run(folder, "tool", "install", "dicache", "--tool-path", "bin");
        ProcessStartInfo start = new(Path.Combine(folder, "bin", "dicache"), s_generate)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
        };
        using Process tool = Process.Start(start)!;
        tool.StandardOutput.ReadToEnd();
        tool.WaitForExit();
        Assert.Equal(0, tool.ExitCode);
        Assert.Equal(FromThisTree(), ImageFile.Load(Path.Combine(folder, "picture.png")).Pixels.ToArray());
    }

    private static byte[] FromThisTree()
    {
        using TemporaryFolder folder = new();
        (int code, string _, string error) = DiCacheProgram.Run(folder.Path, s_generate);
        Assert.True(code == 0, error);
        return [.. ImageFile.Load(folder.File("picture.png")).Pixels];
    }
}
