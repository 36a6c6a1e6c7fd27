using System.Text;
using System.Text.RegularExpressions;

namespace DiCacheNative.Text.Cleaning;

/// <summary>
/// Cleans a prompt as the published WAN pipelines do before they tokenize it: what the library ftfy does by default ("fix text"), HTML references decoded
/// twice, and white space collapsed and trimmed.
/// </summary>
/// <remarks>
/// The steps of ftfy are those of its documentation, in its order, repeated until the text stays as it is: HTML references (in a text without &lt;), terminal
/// escapes, text that was decoded with the wrong encoding (<see cref="MojibakeRepair"/>), Latin ligatures, full-width and half-width forms, curly quotes, line
/// breaks, lone surrogates, control characters, NFC. Two things differ. References by name are those of HTML 4 and their all-capital forms; the others of HTML
/// 5 are left as they are. And what counts as wrongly decoded is judged by rules of our own, which agree on nearly all of ftfy's published examples but not on
/// every text.
/// </remarks>
public static partial class PromptCleaning
{
    // Each round undoes one layer; texts with more layers than this do not occur.
    private const int MostRounds = 10;

    /// <summary>Cleans a prompt.</summary>
    /// <param name="text">Any text.</param>
    public static string Clean(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        text = HtmlReferences.Decode(HtmlReferences.Decode(Fix(text)));
        return WhiteSpace().Replace(text, " ").Trim();
    }

    /// <summary>What ftfy does by default.</summary>
    internal static string Fix(string text)
    {
        // Each line for itself; from the first < on, HTML stays.
        bool plain = true;
        List<string> lines = [];
        foreach (string line in text.Split('\n'))
        {
            plain &= !line.Contains('<', StringComparison.Ordinal);
            lines.Add(FixLine(line, plain));
        }

        return string.Join('\n', lines);
    }

    private static string FixLine(string text, bool unescape)
    {
        for (int round = 0; round < MostRounds; round++)
        {
            string before = text;
            text = unescape ? HtmlReferences.DecodeUnambiguous(text) : text;
            text = TerminalEscape().Replace(text, string.Empty);
            text = MojibakeRepair.Repair(text);
            text = Forms(text);
            text = text.Replace("\r\n", "\n", StringComparison.Ordinal);
            text = LineBreak().Replace(text, "\n");
            text = ControlCharacter().Replace(text, string.Empty);
            text = UnicodeNormalization.Normalize(text, NormalForm.Nfc);
            if (text == before)
            {
                break;
            }
        }

        return text;
    }

    /// <summary>Ligatures, widths and quotes as plain letters; lone surrogates as U+FFFD.</summary>
    private static string Forms(string text)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }

        StringBuilder result = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            string one = rune.ToString();
            result.Append(rune.Value switch
            {
                >= 0x2018 and <= 0x201B or 0x02BC or 0x0149 => rune.Value == 0x0149 ? "'n" : "'",
                >= 0x201C and <= 0x201F => "\"",
                0xFB05 => "\u017Ft",

                // Letters that stand for two, full-width and half-width forms, and the wide space.
                0x0132 or 0x0133 or (>= 0x01C4 and <= 0x01CC) or (>= 0x01F1 and <= 0x01F3) or (>= 0xFB00 and <= 0xFB06) or (>= 0xFF01 and <= 0xFFEE) or 0x3000
                    => UnicodeNormalization.Normalize(one, NormalForm.Nfkc),
                _ => one,
            });
        }

        return result.ToString();
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex WhiteSpace();

    [GeneratedRegex("\u001B\\[[0-9;]*[A-Za-z]")]
    private static partial Regex TerminalEscape();

    [GeneratedRegex("[\r\u0085\u2028\u2029]")]
    private static partial Regex LineBreak();

    [GeneratedRegex("[\u0000-\u0008\u000B\u000E-\u001F\u007F\u206A-\u206F\uFEFF\uFFF9-\uFFFC]")]
    private static partial Regex ControlCharacter();
}
