namespace DiCacheNative.Tests.Cli;

/// <summary>A command line of any length that the system takes.</summary>
public sealed class LongCommandLineTests
{
    // Just under the longest single argument that Linux takes; Windows takes 32,767 for the whole line.
    private static readonly string s_long = string.Concat(Enumerable.Repeat("red circle ", OperatingSystem.IsWindows() ? 1000 : 11900));

    [Theory]
    [InlineData("shapes-flux", "-p")]
    [InlineData("shapes-flux", "-n")]
    [InlineData("shapes-wan", "-p")]
    [InlineData("shapes-wan", "-n")]
    public void A_prompt_of_130000_characters_gives_a_picture(string model, string option)
    {
        using TemporaryFolder folder = new();
        string[] prompts = option == "-p" ? ["-p", s_long] : ["-p", "a red circle", "-n", s_long, "--cfg-scale", "2"];
        (int code, string _, string error) = DiCacheProgram.Run(
            folder.Path, ["generate", "-m", Repository.File("models", model), "-q", "--steps", "2", "-o", "a.png", .. prompts]);
        Assert.True(code == 0, error);
        Assert.NotEmpty(Directory.EnumerateFiles(folder.Path, "a*.png"));
    }
}
