using System.Diagnostics;

namespace DiCacheNative.Tests.Fuzz;

/// <summary>A short run of the fuzz program, and that it finds what there is to find.</summary>
public class FuzzProgramTests
{
    [Fact]
    public void No_reader_answers_a_hostile_file_with_anything_but_a_documented_exception()
    {
        (int code, string output) = Run("--cases", "6000", "--seed", "20");
        Assert.True(code == 0, output);
        Assert.Contains("0 failures, seed 20", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fault-exception", "UNDOCUMENTED fault-exception case")]
    [InlineData("fault-crash", "CRASH fault-crash case")]
    [InlineData("fault-memory", "MEMORY fault-memory case")]
    public void An_undocumented_exception_a_crash_and_too_much_memory_are_found_and_told_with_a_reproducer(string target, string expected)
    {
        (int code, string output) = Run("--target", target, "--cases", "12");
        Assert.Equal(1, code);
        Assert.Contains(expected, output, StringComparison.Ordinal);
    }

    private static (int Code, string Output) Run(params string[] arguments)
    {
        using TemporaryFolder folder = new();
        ProcessStartInfo start = new("dotnet", ["exec", Path.Combine(AppContext.BaseDirectory, "DiCacheNative.Fuzz.dll"), .. arguments, "--out",
            folder.File("out")])
        {
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_DbgEnableMiniDump"] = "0" },
        };
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
