using System.CommandLine;
using DiCacheNative.Cli;

namespace DiCacheNative.Tests.Cli;

/// <summary>Runs a command inside the test process, with both streams caught.</summary>
internal static class CommandRun
{
    public static Task<(int Code, string Out, string Error)> Async(params string[] arguments) => Async(CommandLine.Root, arguments);

    public static async Task<(int Code, string Out, string Error)> Async(Func<Terminal, RootCommand> commands, params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        int code = await CommandLine.RunAsync(
            commands, arguments, new Terminal(output, error), () => 0, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }

    /// <summary>The commands of the program, without one that would write anywhere.</summary>
    public static RootCommand Root() => CommandLine.Root(new Terminal(TextWriter.Null, TextWriter.Null));

    /// <summary>A command and those below it, each with the words that call it.</summary>
    public static IEnumerable<(string[] Path, Command Command)> Commands(Command command, params string[] path)
    {
        yield return (path, command);
        foreach ((string[], Command) below in command.Subcommands.SelectMany(c => Commands(c, [.. path, c.Name])))
        {
            yield return below;
        }
    }
}
