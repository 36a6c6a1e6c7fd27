using System.Text.RegularExpressions;
using DiCacheNative.Caching;
using DiCacheNative.Cli;
using DiCacheNative.Cli.Progress;

namespace DiCacheNative.Tests.Cli;

/// <summary>What a generation shows while it runs, on screens of several widths and where there is none.</summary>
public partial class ProgressTests
{
    private const int Steps = 300;

    [Theory]
    [InlineData(20)]
    [InlineData(40)]
    [InlineData(80)]
    [InlineData(200)]
    public async Task A_bar_keeps_to_the_width_of_the_screen(int width)
    {
        using StringWriter error = new();
        Terminal terminal = new(TextWriter.Null, error, errorWidth: () => width);
        await Show(ProgressView.Of(terminal, ProgressLevel.Normal));
        string[] lines = [.. Escape().Replace(error.ToString(), string.Empty).Split('\r', '\n').Select(l => l.TrimEnd())];
        Assert.All(lines, line => Assert.True(line.Length <= width, line));
        Assert.Contains(lines, l => l.StartsWith("load", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.StartsWith("decode", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains("299/300", StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains('░', StringComparison.Ordinal) || width < 40);
    }

    [Fact]
    public async Task A_note_and_its_brackets_are_written_above_the_bar_as_they_are()
    {
        using StringWriter error = new();
        Terminal terminal = new(TextWriter.Null, error, errorWidth: () => 80);
        ProgressView view = ProgressView.Of(terminal, ProgressLevel.Normal);
        await view.RunAsync(() =>
        {
            view.Begin("load");
            terminal.Note("the file [red]x[/] has [no] end[");
            terminal.Note("the file [red]x[/] has [no] end[");
            return Task.CompletedTask;
        });
        Assert.Equal(2, error.ToString().Split("dicache: note: the file [red]x[/] has [no] end[").Length);
    }

    [Fact]
    public async Task A_failure_leaves_the_bar_as_it_was_thrown_and_shows_the_cursor_again()
    {
        using StringWriter error = new();
        ProgressView view = ProgressView.Of(new Terminal(TextWriter.Null, error, errorWidth: () => 80), ProgressLevel.Normal);
        await Assert.ThrowsAsync<ModelFormatException>(() => view.RunAsync(() =>
        {
            view.Begin("load");
            throw new ModelFormatException("broken");
        }));
        Assert.EndsWith("\u001b[?25h", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData((int)ProgressLevel.Quiet, 0)]
    [InlineData((int)ProgressLevel.Normal, 4)]
    [InlineData((int)ProgressLevel.Verbose, 4 + Steps)]
    public async Task Without_a_screen_there_is_a_line_for_each_phase_and_steps_when_asked_for(int level, int lines)
    {
        using StringWriter error = new();
        await Show(ProgressView.Of(new Terminal(TextWriter.Null, error), (ProgressLevel)level));
        Assert.Equal(lines, error.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.DoesNotContain("\u001b", error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("xterm-256color", "", true, true)]
    [InlineData("xterm-256color", "1", true, false)]
    [InlineData("dumb", "", false, false)]
    public void A_screen_has_a_bar_with_colours_unless_they_are_not_wanted_or_it_cannot_draw(
        string term, string noColour, bool bar, bool colours)
    {
        const string Program = "/usr/bin/script";
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists(Program), $"{Program} makes the pseudo-terminal");
        using TemporaryFolder folder = new();
        Dictionary<string, string> environment = new() { ["TERM"] = term, ["NO_COLOR"] = noColour, ["COLUMNS"] = "" };
        (int code, string output, string error) = DiCacheProgram.RunInShell(
            folder.Path,
            $"unset COLUMNS; command=$(printf \"'%s' \" \"$@\"); exec {Program} -qec \"stty cols 60 rows 24; $command\" /dev/null",
            environment,
            "generate", "-m", DiCacheProgram.ModelFolder, "-p", "a [red] star", "--steps", "60", "-o", "a.png");
        Assert.True(code == 0, output + error);
        Assert.Equal(bar, output.Contains("\u001b[?25l", StringComparison.Ordinal));
        Assert.Equal(colours, Colour().IsMatch(output));
        Assert.Contains("decode", output, StringComparison.Ordinal);
        Assert.True(File.Exists(folder.File("a.png")));
    }

    [Fact]
    public void A_table_is_drawn_on_a_screen_and_aligned_text_elsewhere_and_brackets_stay_brackets()
    {
        using StringWriter text = new(), screen = new();
        Grid grid = new("name", ">ms");
        grid.Add("[red]a[/] long name", "1.5");
        grid.Add("b[", "100.0");
        grid.Write(new Terminal(text, TextWriter.Null));
        Assert.Equal(["name                    ms", "[red]a[/] long name    1.5", "b[                   100.0"], Lines(text));
        grid.Write(new Terminal(screen, TextWriter.Null, outputWidth: () => 60));
        Assert.Contains("│ [red]a[/] long name │   1.5 │", screen.ToString(), StringComparison.Ordinal);
        Assert.All(Lines(screen), line => Assert.True(line.Length <= 60, line));
    }

    private static string[] Lines(StringWriter writer) =>
        writer.ToString().ReplaceLineEndings("\n").Split('\n', StringSplitOptions.RemoveEmptyEntries);

    // As a generation reports.
    private static Task Show(ProgressView view) => view.RunAsync(async () =>
    {
        view.Begin("load");
        view.Report(GenerationProgress.Begin(GenerationPhase.Text));
        view.Report(GenerationProgress.Begin(GenerationPhase.Denoise, Steps));
        for (int i = 1; i <= Steps; i++)
        {
            view.Report(new GenerationProgress(i, Steps, (StepDecision)(i % 3), TimeSpan.FromMilliseconds(1),
                TimeSpan.FromMilliseconds(i)));
            if (i == Steps - 1)
            {
                // The bar is drawn ten times a second.
                await Task.Delay(TimeSpan.FromSeconds(0.4), TestContext.Current.CancellationToken);
            }
        }

        view.Report(GenerationProgress.Begin(GenerationPhase.Decode));
    });

    [GeneratedRegex("\u001b\\[[0-9;?]*[A-Za-z]")]
    private static partial Regex Escape();

    [GeneratedRegex("\u001b\\[[0-9;]*[39][0-7]m")]
    private static partial Regex Colour();
}
