using System.Diagnostics;
using System.Text.Json;

namespace DiCacheNative.Tests.Cli;

/// <summary>Runs the built command line as a user does: a process of its own, in a folder of its own.</summary>
internal static class DiCacheProgram
{
    public static string ModelFolder => Repository.File("models", "shapes-flux");

    public static (int Code, string Out, string Error) Run(string folder, params string[] arguments)
    {
        using Process process = Start(folder, arguments);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)), "the program did not end");
        return (process.ExitCode, output.Result, error.Result);
    }

    public static Process Start(string folder, params string[] arguments)
    {
        // The test program's own folder holds the command line it was built with.
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "dicache.dll"), .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    public static JsonElement Json(string text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
