using System.Diagnostics;

namespace DiCacheNative.Tests.Cli;

/// <summary>
/// Ctrl-C, a request to end and a closed terminal. The program is started with these signals at their default, whoever runs the tests.
/// </summary>
public class SignalTests
{
    [Theory]
    [InlineData("HUP", 129)]
    [InlineData("INT", 130)]
    [InlineData("TERM", 143)]
    public void A_signal_ends_the_run_with_its_code_and_leaves_nothing_behind(string signal, int expected)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "signals are sent with kill");
        using TemporaryFolder folder = new();
        using Process process = DiCacheProgram.Start(folder.Path, Generate(1000));
        AwaitSteps(process);
        DiCacheProgram.Kill(signal, process.Id);
        (int code, string output, string error) = DiCacheProgram.Finish(process);
        Assert.Equal((expected, string.Empty), (code, output));
        Assert.EndsWith("dicache: cancelled; nothing was written", error.TrimEnd(), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("HUP")]
    public void A_signal_that_is_ignored_where_the_program_is_started_stays_ignored(string signal)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "env --ignore-signal is that of GNU");
        using TemporaryFolder folder = new();
        using Process process = DiCacheProgram.StartInShell(
            folder.Path, $"exec env --ignore-signal={signal} \"$@\"", new Dictionary<string, string>(), Generate(40));
        AwaitSteps(process);
        DiCacheProgram.Kill(signal, process.Id);
        (int code, string _, string error) = DiCacheProgram.Finish(process);
        Assert.True(code == 0, error);
        Assert.True(File.Exists(folder.File("a.png")));
    }

    private static string[] Generate(int steps) =>
        ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-W", "64", "-H", "64", "--steps", $"{steps}", "-v", "-o", "a.png"];

    private static void AwaitSteps(Process process)
    {
        while (process.StandardError.ReadLine() is { } line && !line.StartsWith("step ", StringComparison.Ordinal))
        {
        }
    }
}
