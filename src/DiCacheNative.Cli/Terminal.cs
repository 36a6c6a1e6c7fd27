using System.Text;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace DiCacheNative.Cli;

/// <summary>
/// Where a command writes: results to standard output, everything else to standard error. A result that cannot be written fails the
/// command; a message that cannot be written is lost, and never ends a run.
/// </summary>
internal sealed class Terminal
{
    private readonly List<string> _notes = [];
    private readonly Lock _lock = new();

    /// <summary>A terminal over two writers.</summary>
    /// <param name="output">Standard output.</param>
    /// <param name="error">Standard error.</param>
    /// <param name="outputWidth">Columns of the screen behind standard output; null when it is none.</param>
    /// <param name="errorWidth">Columns of the screen behind standard error; null when it is none.</param>
    public Terminal(TextWriter output, TextWriter error, Func<int>? outputWidth = null, Func<int>? errorWidth = null)
    {
        Output = new GuardedWriter(output, e => throw new IOException($"standard output cannot be written: {e.Message}", e));
        Error = new GuardedWriter(error, _ => { });
        OutputScreen = Screen.On(Output, outputWidth);
        ErrorScreen = Screen.On(Error, errorWidth);
    }

    /// <summary>The screen behind standard output; null when it goes elsewhere.</summary>
    public IAnsiConsole? OutputScreen { get; }

    /// <summary>The screen behind standard error; null when it goes elsewhere.</summary>
    public IAnsiConsole? ErrorScreen { get; }

    /// <summary>Standard error; a failure to write to it is ignored.</summary>
    public TextWriter Error { get; }

    /// <summary>Standard output; an <see cref="IOException"/> says when it is full or closed.</summary>
    public TextWriter Output { get; }

    /// <summary>All notes so far, in order.</summary>
    public IReadOnlyList<string> Notes
    {
        get
        {
            lock (_lock)
            {
                return [.. _notes];
            }
        }
    }

    /// <summary>The terminal of the process.</summary>
    public static Terminal OfProcess() => new(
        Console.Out,
        Console.Error,
        Console.IsOutputRedirected || IsDumb ? null : Columns,
        Console.IsErrorRedirected || IsDumb ? null : Columns);

    /// <summary>Writes a line of a result.</summary>
    /// <exception cref="IOException">Standard output is full or closed.</exception>
    public void Write(string line) => Output.WriteLine(line);

    /// <summary>Writes a report as one JSON object.</summary>
    /// <exception cref="IOException">Standard output is full or closed.</exception>
    public void WriteJson(JsonObject report) => Write(JsonReport.Text(report));

    /// <summary>Tells something that the user should know; each sentence once.</summary>
    public void Note(string sentence)
    {
        lock (_lock)
        {
            if (_notes.Contains(sentence))
            {
                return;
            }

            _notes.Add(sentence);
        }

        string line = $"dicache: note: {OneLine(sentence)}";
        if (ErrorScreen is not null)
        {
            // A bar that is being drawn makes room for it.
            ErrorScreen.WriteLine(line);
        }
        else
        {
            Error.WriteLine(line);
        }
    }

    /// <summary>Shows the cursor, which a bar hides while it is drawn.</summary>
    public void ShowCursor() => ErrorScreen?.Cursor.Show();

    /// <summary>Tells why a command ends without its result.</summary>
    public void Fail(string sentence) => Error.WriteLine($"dicache: {OneLine(sentence)}");

    private static bool IsDumb => !OperatingSystem.IsWindows() && Environment.GetEnvironmentVariable("TERM") is null or "" or "dumb";

    private static int Columns()
    {
        try
        {
            return Console.WindowWidth is > 0 and int columns ? columns : Screen.UsualWidth;
        }
        catch (IOException)
        {
            return Screen.UsualWidth;
        }
    }

    /// <summary>A sentence without line breaks and without characters that would move the cursor or change colours.</summary>
    private static string OneLine(string sentence)
    {
        StringBuilder line = new(sentence.Length);
        foreach (char c in sentence.Trim().ReplaceLineEndings(" "))
        {
            line.Append(char.IsControl(c) ? ' ' : c);
        }

        return line.ToString();
    }

    /// <summary>Passes everything on at once, and what the other side throws to a handler.</summary>
    private sealed class GuardedWriter(TextWriter inner, Action<Exception> failed) : TextWriter
    {
        public override Encoding Encoding => inner.Encoding;

        public override void Write(char value) => Guard(() => inner.Write(value));

        public override void Write(char[] buffer, int index, int count) => Guard(() => inner.Write(buffer, index, count));

        public override void Write(string? value) => Guard(() => inner.Write(value));

        public override void WriteLine(string? value) => Guard(() => inner.WriteLine(value));

        public override void Flush() => Guard(inner.Flush);

        private void Guard(Action write)
        {
            try
            {
                write();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ObjectDisposedException)
            {
                failed(e);
            }
        }
    }
}
