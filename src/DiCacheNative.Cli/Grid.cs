using Spectre.Console;
using Cell = Spectre.Console.Text;

namespace DiCacheNative.Cli;

/// <summary>A table of a report: drawn on a screen, aligned text elsewhere.</summary>
/// <param name="columns">Headers; one that begins with &gt; stands over a column of numbers, which is aligned to the right.</param>
internal sealed class Grid(params string[] columns)
{
    private const char Right = '>';
    private readonly List<string[]> _rows = [];

    /// <summary>Adds a row, a cell for each column.</summary>
    public void Add(params string[] cells) => _rows.Add(cells);

    /// <summary>Writes it to standard output.</summary>
    public void Write(Terminal terminal)
    {
        if (terminal.OutputScreen is { } screen)
        {
            Draw(screen);
            return;
        }

        int[] widths = [.. columns.Select((c, i) => _rows.Select(r => r[i].Length).Append(Header(c).Length).Max())];
        foreach (string[] row in _rows.Prepend([.. columns.Select(Header)]))
        {
            terminal.Write(
                string.Join("  ", row.Select((cell, i) => IsRight(i) ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]))).TrimEnd());
        }
    }

    private static string Header(string column) => column.TrimStart(Right);

    private bool IsRight(int column) => columns[column].StartsWith(Right);

    private void Draw(IAnsiConsole screen)
    {
        Table table = new() { Border = TableBorder.Rounded };
        for (int i = 0; i < columns.Length; i++)
        {
            table.AddColumn(new TableColumn(new Cell(Header(columns[i]))) { Alignment = IsRight(i) ? Justify.Right : Justify.Left });
        }

        // Cells are text: what a file is called is no markup.
        _rows.ForEach(row => table.AddRow(row.Select(cell => new Cell(cell))));
        screen.Write(table);
    }
}
