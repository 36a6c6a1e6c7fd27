using System.Diagnostics;
using System.Text.Json;

namespace DiCacheNative.Tests.Cli;

/// <summary>Runs the built command line as a user does: a process of its own, in a folder of its own.</summary>
internal static class DiCacheProgram
{
    public static string ModelFolder => Repository.File("models", "shapes-flux");

    public static string VideoModelFolder => Repository.File("models", "shapes-wan");

    public static (int Code, string Out, string Error) Run(string folder, params string[] arguments) => RunWithPath(null, folder, arguments);

    /// <param name="path">PATH of the program, which decides what other programs it finds; null for that of the tests.</param>
    /// <param name="folder">Working directory.</param>
    /// <param name="arguments">Arguments.</param>
    public static (int Code, string Out, string Error) RunWithPath(string? path, string folder, params string[] arguments)
    {
        using Process process = StartWithPath(path, folder, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)), "the program did not end");
        return (process.ExitCode, output.Result, error.Result);
    }

    public static Process Start(string folder, params string[] arguments) => StartWithPath(null, folder, arguments);

    public static Process StartWithPath(string? path, string folder, params string[] arguments)
    {
        // The test program's own folder holds the command line it was built with.
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), .. arguments])
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

    public static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
