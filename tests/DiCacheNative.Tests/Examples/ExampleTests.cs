using System.Diagnostics;
using System.Text.RegularExpressions;
using DiCacheNative.Tests.Cli;

namespace DiCacheNative.Tests.Examples;

/// <summary>The programs in examples/, run as they are, and what README quotes of them.</summary>
public sealed partial class ExampleTests : IDisposable
{
    private static readonly byte[] PngSignature = [0x89, 0x50, 0x4E, 0x47];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, string> Programs => new()
    {
        { "Embed", @"^\d+ full, \d+ resumed, [1-9]\d* skipped, \d+ ms$" },
        { "OwnSampler", @"^23 model calls, [1-9]\d* of them skipped$" },
        { "OwnPolicy", @"^[1-9]\d* of 30 model calls skipped: [.#]{30}$" },
    };

    [Theory]
    [MemberData(nameof(Programs))]
    public async Task A_program_draws_its_picture(string name, string output)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string picture = Path.Combine(_folder.Path, "picture.png");
        using Process process = Start(name, DiCacheProgram.ModelFolder, picture);
        Task<string> text = process.StandardOutput.ReadToEndAsync(cancel), error = process.StandardError.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);

        Assert.True(process.ExitCode == 0, await error);
        Assert.Matches(output, (await text).Trim());
        Assert.Equal(PngSignature, File.ReadAllBytes(picture)[..4]);
    }

    [Fact]
    public async Task The_endpoint_answers_with_a_picture_and_refuses_what_it_cannot_draw()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Process process = Start("Endpoint", DiCacheProgram.ModelFolder, "--urls", "http://127.0.0.1:0");
        try
        {
            string? address = null;
            while (address is null)
            {
                string line = await process.StandardOutput.ReadLineAsync(cancel)
                    ?? throw new InvalidOperationException(await process.StandardError.ReadToEndAsync(cancel));
                address = Listening().Match(line) is { Success: true } match ? match.Groups[1].Value : null;
            }

            _ = process.StandardOutput.ReadToEndAsync(cancel);
            using HttpClient client = new();
            byte[] picture = await client.GetByteArrayAsync(new Uri($"{address}/image?prompt=a%20green%20star&seed=18446744073709551615"), cancel);
            using HttpResponseMessage refused = await client.GetAsync(new Uri($"{address}/image?prompt=a%20green%20star&seed=-3"), cancel);

            Assert.Equal(PngSignature, picture[..4]);
            Assert.Equal(System.Net.HttpStatusCode.BadRequest, refused.StatusCode);
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync(cancel);
        }
    }

    [Fact]
    public void Every_program_that_the_README_shows_is_one_of_the_examples()
    {
        string[] sources = [.. Directory.GetFiles(Repository.File("examples"), "Program.cs", SearchOption.AllDirectories).Select(WithoutHeader)];
        MatchCollection shown = CSharpBlock().Matches(File.ReadAllText(Repository.File("README.md")));

        Assert.NotEmpty(shown);
        Assert.All(shown, block => Assert.Contains(block.Groups[1].Value.Trim(), sources));
    }

    private static string WithoutHeader(string path) => string.Join('\n',
        File.ReadLines(path).SkipWhile(line => line.StartsWith("//", StringComparison.Ordinal))).Trim();

    // Built beside the tests, in the same configuration.
    private static Process Start(string name, params string[] arguments)
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        string program = Repository.File("examples", name, "bin", configuration, "net10.0", name + ".dll");
        Assert.True(File.Exists(program), $"{program} is missing: build the solution");
        return Process.Start(new ProcessStartInfo("dotnet", ["exec", program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    [GeneratedRegex(@"Now listening on: (http://\S+)")]
    private static partial Regex Listening();

    [GeneratedRegex(@"```csharp\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex CSharpBlock();
}
