using System.CommandLine;
using System.CommandLine.Parsing;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli;

/// <summary>What all commands share: exit codes, error sentences, JSON.</summary>
internal static class CommandLine
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int ModelOrFile = 3;
    public const int Device = 4;
    public const int Cancelled = 130;

    /// <summary>Parses and runs, and turns every expected failure into one sentence on standard error and an exit code.</summary>
    public static async Task<int> RunAsync(RootCommand root, string[] args)
    {
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (ParseError error in parsed.Errors)
            {
                await Console.Error.WriteLineAsync($"dicache: {error.Message}");
            }

            string command = parsed.CommandResult.Command is RootCommand ? string.Empty : parsed.CommandResult.Command.Name + " ";
            await Console.Error.WriteLineAsync($"dicache: see dicache {command}--help");
            return Usage;
        }

        // The action's own handling below sees every exception; Ctrl-C cancels its token and gives it time to clean up.
        return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) });
    }

    /// <summary>Runs the body of a command.</summary>
    public static async Task<int> GuardAsync(Func<Task<int>> body)
    {
        try
        {
            return await body();
        }
        catch (OperationCanceledException)
        {
            return Fail(Cancelled, "cancelled; nothing was written");
        }
        catch (ModelFormatException e)
        {
            return Fail(ModelOrFile, e.Message);
        }
        catch (BackendException e)
        {
            return Fail(Device, e.Message);
        }
        catch (ArgumentException e)
        {
            return Fail(Usage, e.ParamName is null ? e.Message : e.Message.Replace($" (Parameter '{e.ParamName}')", string.Empty, StringComparison.Ordinal));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(ModelOrFile, e.Message);
        }
        catch (OutOfMemoryException)
        {
            return Fail(Device, "not enough memory; lower the size, the batch or the number of threads");
        }
    }

    private static int Fail(int code, string sentence)
    {
        Console.Error.WriteLine($"dicache: {sentence.ReplaceLineEndings(" ")}");
        return code;
    }
}
