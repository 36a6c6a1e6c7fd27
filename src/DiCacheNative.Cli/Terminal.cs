using System.Text;
using System.Text.Json.Nodes;

namespace DiCacheNative.Cli;

/// <summary>
/// Where a command writes: results to standard output, everything else to standard error. A result that cannot be written fails the command; a message that cannot be
/// written is lost, and never ends a run.
/// </summary>
internal sealed class Terminal
{
    private readonly List<string> _notes = [];
    private readonly Lock _lock = new();

    /// <summary>A terminal over two writers.</summary>
    public Terminal(TextWriter output, TextWriter error)
    {
        Output = new GuardedWriter(output, e => throw new IOException($"standard output cannot be written: {e.Message}", e));
        Error = new GuardedWriter(error, _ => { });
    }

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
    public static Terminal OfProcess() => new(Console.Out, Console.Error);

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

        Error.WriteLine($"dicache: note: {OneLine(sentence)}");
    }

    /// <summary>Tells why a command ends without its result.</summary>
    public void Fail(string sentence) => Error.WriteLine($"dicache: {OneLine(sentence)}");

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
