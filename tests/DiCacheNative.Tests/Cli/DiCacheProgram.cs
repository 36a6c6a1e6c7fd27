using System.Diagnostics;
using System.Text.Json;

namespace DiCacheNative.Tests.Cli;

/// <summary>Runs the built command line as a user does: a process of its own, in a folder of its own.</summary>
internal static class DiCacheProgram
{
    // Found here and not by env, for a test may give the program a PATH of its own.
    private static readonly string s_dotnet = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH")
        ?? Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "dotnet")).FirstOrDefault(File.Exists) ?? "dotnet";

    public static string ModelFolder => Repository.File("models", "shapes-flux");

    public static string VideoModelFolder => Repository.File("models", "shapes-wan");

    public static (int Code, string Out, string Error) Run(string folder, params string[] arguments) =>
        RunWithPath(null, folder, arguments);

    /// <param name="path">PATH of the program, which decides what other programs it finds; null for that of the tests.</param>
    /// <param name="folder">Working directory.</param>
    /// <param name="arguments">Arguments.</param>
    public static (int Code, string Out, string Error) RunWithPath(string? path, string folder, params string[] arguments)
    {
        using Process process = StartWithPath(path, folder, arguments);
        return Finish(process);
    }

    public static Process Start(string folder, params string[] arguments) => StartWithPath(null, folder, arguments);

    public static Process StartWithPath(string? path, string folder, params string[] arguments)
    {
        // The test program's own folder holds the command line it was built with. Signals that whoever runs the tests ignores are not
        // ignored by it.
        string[] program = [s_dotnet, "exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), .. arguments];
        string[] command = OperatingSystem.IsLinux() ? ["/usr/bin/env", "--default-signal=HUP,INT,TERM", .. program] : program;
        ProcessStartInfo start = new(command[0], command[1..])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (path is not null)
        {
            start.Environment["PATH"] = path;
        }

        return Process.Start(start)!;
    }

    /// <summary>Runs it from a shell, for what only a shell does.</summary>
    /// <param name="folder">Working directory.</param>
    /// <param name="script">POSIX shell; "$@" is the command with its arguments.</param>
    /// <param name="environment">Variables set for it.</param>
    /// <param name="arguments">Arguments of the command.</param>
    public static Process StartInShell(
        string folder, string script, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        ProcessStartInfo start = new(
            "/bin/sh", ["-c", script, "sh", "dotnet", "exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach ((string name, string value) in environment)
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    /// <summary>The same, until it ends.</summary>
    public static (int Code, string Out, string Error) RunInShell(
        string folder, string script, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using Process process = StartInShell(folder, script, environment, arguments);
        return Finish(process);
    }

    /// <summary>Waits for the end.</summary>
    public static (int Code, string Out, string Error) Finish(Process process)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(6)), "the program did not end");
        return (process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Sends a signal.</summary>
    /// <param name="signal">As kill takes it, "INT".</param>
    /// <param name="process">Number of the process.</param>
    public static void Kill(string signal, int process)
    {
        using Process kill = Process.Start("kill", ["-" + signal, process.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
