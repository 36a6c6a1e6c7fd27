using System.Text;
using Spectre.Console;

namespace DiCacheNative.Cli;

/// <summary>A stream that is shown on a screen, for what is drawn there: bars and tables.</summary>
internal sealed class Screen : IAnsiConsoleOutput
{
    /// <summary>Columns of a screen that does not tell.</summary>
    public const int UsualWidth = 80;

    private const int UsualHeight = 24;
    private readonly Func<int> _width;

    private Screen(TextWriter writer, Func<int> width) => (Writer, _width) = (writer, width);

    /// <inheritdoc/>
    public TextWriter Writer { get; }

    /// <inheritdoc/>
    public bool IsTerminal => true;

    /// <inheritdoc/>
    public int Width => _width();

    /// <inheritdoc/>
    public int Height => UsualHeight;

    /// <summary>A console to draw on; null without a screen. NO_COLOR is respected.</summary>
    /// <param name="writer">The stream.</param>
    /// <param name="width">Its columns; null when it is no screen.</param>
    public static IAnsiConsole? On(TextWriter writer, Func<int>? width) => width is null ? null : AnsiConsole.Create(new AnsiConsoleSettings
    {
        Out = new Screen(writer, width),
        Ansi = AnsiSupport.Yes,
        Interactive = InteractionSupport.Yes,
        ColorSystem = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) ? ColorSystemSupport.Standard
            : ColorSystemSupport.NoColors,
        Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
    });

    /// <inheritdoc/>
    public void SetEncoding(Encoding encoding)
    {
    }
}
