using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using System.Reflection;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli;

/// <summary>What all commands share: exit codes, error sentences, the last resort, JSON.</summary>
internal static class CommandLine
{
    public const int Ok = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int ModelOrFile = 3;
    public const int Device = 4;

    /// <summary>A fault of the program itself.</summary>
    public const int Fault = 70;

    /// <summary>Added to the number of the signal that ended a command.</summary>
    public const int BySignal = 128;

    /// <summary>Environment variable that shows where a failure came from, when it is 1.</summary>
    public const string DebugVariable = "DICACHE_DEBUG";

    /// <summary>Runs a command of the process; signals cancel it.</summary>
    public static async Task<int> MainAsync(string[] args, Terminal terminal)
    {
        using Signals signals = Signals.Listen(terminal.ShowCursor);
        return await RunAsync(Root, args, terminal, () => signals.Received, signals.Token);
    }

    /// <summary>All commands.</summary>
    public static RootCommand Root(Terminal terminal)
    {
        RootCommand root = new("Runs diffusion transformers (FLUX.1, WAN 2.1, HunyuanVideo) natively, with DiCache built in.")
        {
            GenerateCommand.Create(terminal),
            VerifyCommand.Create(terminal),
            DevicesCommand.Create(terminal),
            InspectCommand.Create(terminal),
            BenchCommand.Create(terminal),
        };
        ShowHelp(root);
        return root;
    }

    /// <summary>Lets a command that only groups others show its help.</summary>
    public static void ShowHelp(Command group) => group.SetAction(result => new HelpAction().Invoke(result));

    /// <summary>Parses and runs. Every failure, of parsing too, becomes one sentence on standard error and an exit code.</summary>
    /// <param name="commands">Makes the commands.</param>
    /// <param name="args">Arguments.</param>
    /// <param name="terminal">Where everything is written.</param>
    /// <param name="signal">Number of the signal behind a cancellation; 0 for none.</param>
    /// <param name="cancel">Ends the command.</param>
    public static async Task<int> RunAsync(
        Func<Terminal, RootCommand> commands, string[] args, Terminal terminal, Func<int> signal, CancellationToken cancel)
    {
        try
        {
            ParseResult parsed = Parse(commands(terminal), args);
            if (parsed.Errors.Count > 0)
            {
                string command = string.Concat(Path(parsed.CommandResult).Select(name => name + " "));
                string sentence = string.Join("; ", parsed.Errors.Select(e => e.Message.TrimEnd('.')).Distinct());
                terminal.Fail($"{sentence} (see dicache {command}--help)");
                return Usage;
            }

            InvocationConfiguration configuration = new()
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = null,
                Output = terminal.Output,
                Error = terminal.Error,
            };
            return await parsed.InvokeAsync(configuration, cancel);
        }
        catch (Exception e)
        {
            return Tell(terminal, e, signal());
        }
    }

    /// <summary>Parses; a word that begins with @ is that word, so that a prompt names no file.</summary>
    public static ParseResult Parse(RootCommand root, string[] args) =>
        root.Parse(args, new ParserConfiguration { ResponseFileTokenReplacer = null });

    /// <summary>Tells in one sentence why the program ends, with a trace only when <see cref="DebugVariable"/> asks for it.</summary>
    /// <returns>The exit code.</returns>
    public static int Tell(Terminal terminal, Exception e, int signal)
    {
        (int code, string sentence) = Explain(Unwrap(e), signal);
        terminal.Fail(sentence);
        if (Environment.GetEnvironmentVariable(DebugVariable) == "1")
        {
            terminal.Error.WriteLine(e.ToString());
        }

        return code;
    }

    private static (int Code, string Sentence) Explain(Exception e, int signal) => e switch
    {
        OperationCanceledException when signal != 0 => (BySignal + signal, "cancelled; nothing was written"),
        ModelFormatException or NonFiniteException => (ModelOrFile, e.Message),
        BackendException => (Device, e.Message),

        // Exactly this type: what derives from it is thrown by the platform when the program itself is wrong.
        ArgumentException argument when argument.GetType() == typeof(ArgumentException) => (Usage, Sentence(argument)),
        IOException or UnauthorizedAccessException => (ModelOrFile, e.Message),
        OutOfMemoryException => (Device, "not enough memory; lower the size, the batch or the number of threads"),
        _ => (Fault, $"this is a fault of the program itself ({e.GetType().Name}: {e.Message}); {DebugVariable}=1 shows where"),
    };

    private static Exception Unwrap(Exception e) => e switch
    {
        AggregateException { InnerExceptions.Count: 1 } or TargetInvocationException or TypeInitializationException
            when e.InnerException is not null => Unwrap(e.InnerException),
        _ => e,
    };

    private static string Sentence(ArgumentException e) =>
        e.ParamName is null ? e.Message : e.Message.Replace($" (Parameter '{e.ParamName}')", string.Empty, StringComparison.Ordinal);

    private static List<string> Path(CommandResult result)
    {
        List<string> names = [];
        for (SymbolResult? at = result; at is not null; at = at.Parent)
        {
            if (at is CommandResult { Command: not RootCommand } command)
            {
                names.Insert(0, command.Command.Name);
            }
        }

        return names;
    }
}
