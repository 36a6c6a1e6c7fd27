using System.CommandLine;
using DiCacheNative.Backends;
using DiCacheNative.Cli;
using DiCacheNative.Imaging;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Cli;

/// <summary>Whatever a command throws, and wherever, one sentence and an exit code come out of it.</summary>
public class LastResortTests
{
    private static readonly Dictionary<string, string> s_nothing = [];

    public static TheoryData<string, int, string> Failures() => new()
    {
        { nameof(ModelFormatException), 3, "dicache: a file is broken" },
        { nameof(NonFiniteException), 3, "dicache: not finite" },
        { nameof(IOException), 3, "dicache: the disk is gone" },
        { nameof(UnauthorizedAccessException), 3, "dicache: not yours" },
        { nameof(BackendException), 4, "dicache: the device is gone" },
        { nameof(InsufficientMemoryException), 4, "dicache: not enough memory" },
        { nameof(ArgumentException), 2, "dicache: steps must be few" },
        { nameof(ArgumentOutOfRangeException), 70, "fault of the program itself (ArgumentOutOfRangeException: " },
        { nameof(ShapeException), 70, "fault of the program itself (ShapeException: " },
        { nameof(OverflowException), 70, "fault of the program itself (OverflowException: " },
        { nameof(AggregateException), 3, "dicache: the inner one" },
        { nameof(OperationCanceledException), 70, "OperationCanceledException" },
    };

    [Theory]
    [MemberData(nameof(Failures))]
    public async Task Every_exception_of_a_command_becomes_one_sentence_and_its_code(string exception, int expected, string sentence)
    {
        foreach (bool late in new[] { false, true })
        {
            (int code, string output, string error) = await CommandRun.Async(
                _ =>
                {
                    Command command = new("fail");
                    command.SetAction(async (_, _) =>
                    {
                        if (late)
                        {
                            await Task.Yield();
                        }

                        throw Make(exception);
                    });
                    return new RootCommand("") { command };
                },
                "fail");
            Assert.Equal((expected, string.Empty), (code, output));
            Assert.Contains(sentence, Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_exception_of_a_validator_or_of_the_commands_themselves_is_caught_too()
    {
        Option<string> option = new("--option");
        option.Validators.Add(_ => throw new InvalidOperationException("in a validator"));
        Assert.Equal(70, (await CommandRun.Async(_ => new RootCommand("") { option }, "--option", "x")).Code);
        Assert.Equal(70, (await CommandRun.Async(_ => throw new InvalidOperationException("before parsing"), "x")).Code);
    }

    [Fact]
    public void An_exception_of_another_thread_ends_the_program_with_one_sentence_and_a_trace_only_when_asked_for()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "started from a POSIX shell");
        using TemporaryFolder folder = new();
        Dictionary<string, string> hook = new() { ["DOTNET_STARTUP_HOOKS"] = typeof(LastResortTests).Assembly.Location };
        (int code, string output, string error) = DiCacheProgram.RunInShell(folder.Path, "exec \"$@\"", hook, "devices");
        Assert.Equal((70, string.Empty), (code, output));
        Assert.Contains(StartupHook.Message, Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
        hook[CommandLine.DebugVariable] = "1";
        (code, _, error) = DiCacheProgram.RunInShell(folder.Path, "exec \"$@\"", hook, "devices");
        Assert.Equal(70, code);
        Assert.Contains("   at ", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exec \"$@\" 2>/dev/full")]
    [InlineData("exec \"$@\" 2>&-")]
    [InlineData("\"$@\" 2>/dev/null | true")]
    public void A_standard_error_that_is_full_or_closed_or_an_output_that_nobody_reads_does_not_end_a_run(string script)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's");
        using TemporaryFolder folder = new();
        Assert.Equal(0, DiCacheProgram.RunInShell(folder.Path, script, s_nothing, Generate("a.png")).Code);
        Assert.Equal(64, ImageFile.Load(folder.File("a.png")).Width);
    }

    [Theory]
    [InlineData("devices", "--json")]
    [InlineData("inspect", "--preset", "wan-1.3b-480p")]
    [InlineData("--help")]
    [InlineData("--version")]
    public void A_full_standard_output_gives_code_3_and_one_sentence(params string[] arguments)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's");
        using TemporaryFolder folder = new();
        (int code, string _, string error) = DiCacheProgram.RunInShell(folder.Path, "exec \"$@\" >/dev/full", s_nothing, arguments);
        Assert.Equal(3, code);
        Assert.StartsWith(
            "dicache: standard output cannot be written", Assert.Single(error.TrimEnd().Split('\n')), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("exec \"$@\" >/dev/full", 1)]
    [InlineData("exec \"$@\" >&-", 1)]
    [InlineData("exec \"$@\" >&- 2>&-", 0)]
    public void A_report_that_cannot_be_written_gives_code_3_and_leaves_the_picture_whole(string script, int lines)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's");
        using TemporaryFolder folder = new();
        (int code, string _, string error) = DiCacheProgram.RunInShell(
            folder.Path, script, s_nothing, [.. Generate("a.png"), "-q", "--json"]);
        Assert.Equal(3, code);
        Assert.Equal(lines, error.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal(64, ImageFile.Load(folder.File("a.png")).Width);
    }

    [Fact]
    public async Task Without_arguments_the_help_is_printed()
    {
        (int code, string output, string error) = await CommandRun.Async();
        Assert.Equal((0, string.Empty), (code, error));
        Assert.Contains("generate", output, StringComparison.Ordinal);
        Assert.Contains("kernels", (await CommandRun.Async("bench")).Out, StringComparison.Ordinal);
    }

    private static string[] Generate(string output) =>
        ["generate", "-m", DiCacheProgram.ModelFolder, "-p", "a star", "-W", "64", "-H", "64", "--steps", "2", "-o", output];

    private static Exception Make(string name) => name switch
    {
        nameof(ModelFormatException) => new ModelFormatException("a file is broken"),
        nameof(NonFiniteException) => new NonFiniteException("not finite"),
        nameof(IOException) => new IOException("the disk\nis gone\u001b"),
        nameof(UnauthorizedAccessException) => new UnauthorizedAccessException("not yours"),
        nameof(BackendException) => new BackendException("the device is gone"),
        nameof(InsufficientMemoryException) => new InsufficientMemoryException(),
        nameof(ArgumentException) => new ArgumentException("steps must be few", nameof(name)),
        nameof(ArgumentOutOfRangeException) => new ArgumentOutOfRangeException(nameof(name)),
        nameof(ShapeException) => new ShapeException("a tensor is too small"),
        nameof(AggregateException) => new AggregateException(new IOException("the inner one")),
        nameof(OperationCanceledException) => new OperationCanceledException(),
        _ => new OverflowException(),
    };
}
