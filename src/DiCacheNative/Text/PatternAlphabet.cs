using System.Globalization;
using System.Text;

namespace DiCacheNative.Text;

/// <summary>
/// Lets .NET's regular expressions, which see UTF-16 units, match whole characters. To them a character outside the basic plane is two
/// surrogates, neither letters nor digits. So such a character is shown to an expression as one of the basic plane: a stand-in of the same
/// category that the expression does not name. Characters outside the basic plane that the expression does name, alone or in ranges, have
/// stand-ins of their own, which are put in their place in the expression.
/// </summary>
internal sealed class PatternAlphabet
{
    private const int Plane = 0x10000;
    private const int LastCharacter = 0x10FFFF;
    private const int Categories = (int)UnicodeCategory.OtherNotAssigned + 1;

    // Stand-ins are taken from above Latin-1, whose characters expressions name without saying so (case, escapes).
    private const int LowestStandIn = 0x100;

    // Units of the basic plane by category, the highest first; and which categories there are beyond it.
    private static readonly Lazy<(char[][] BasicPlane, bool[] Beyond)> s_categories = new(ListCategories);

    // Where runs of characters begin that the expression treats alike, ascending; the first is 0x10000.
    private readonly int[] _starts;

    // [1 + run, category]; [0, category] for characters of the basic plane. 0 where there is none.
    private readonly char[,] _standIns;

    // Stand-ins that the expression now names: the characters they are have to be shown as others.
    private readonly HashSet<char> _named = [];

    private PatternAlphabet(List<(int First, int Last)> basic, List<(int First, int Last)> beyond)
    {
        SortedSet<int> starts = [Plane];
        foreach ((int first, int last) in beyond)
        {
            starts.Add(first);
            starts.Add(last + 1);
        }

        _starts = [.. starts];
        _standIns = new char[1 + _starts.Length, Categories];
        for (int category = 0; category < Categories; category++)
        {
            char[] candidates = s_categories.Value.BasicPlane[category];
            int run = 0;
            for (int i = 0; i < candidates.Length && run <= _starts.Length && s_categories.Value.Beyond[category]; i++)
            {
                char c = candidates[i];
                if (!basic.Exists(r => c >= r.First && c <= r.Last))
                {
                    _standIns[run++, category] = c;
                }
            }
        }
    }

    /// <summary>The expression to use in place of the one given.</summary>
    public string Pattern { get; private set; } = "";

    /// <summary>Reads an expression.</summary>
    public static PatternAlphabet Of(string pattern)
    {
        List<Part> parts = Scan(pattern);
        PatternAlphabet alphabet = new(
            [.. parts.Where(p => p.First < Plane && p.Last >= 0).Select(p => (p.First, Math.Min(p.Last, Plane - 1)))],
            [.. parts.Where(p => p.Last >= Plane).Select(p => (Math.Max(p.First, Plane), p.Last))]);
        StringBuilder rewritten = new(pattern.Length);
        foreach (Part part in parts)
        {
            rewritten.Append(part.Last < Plane ? part.Text : alphabet.Rewrite(part));
        }

        alphabet.Pattern = rewritten.ToString();
        return alphabet;
    }

    /// <summary>Whether a text can be shown as it is.</summary>
    public bool IsPlain(string text) => !text.Any(c => char.IsSurrogate(c) || _named.Contains(c));

    /// <summary>What a character is shown as; null when there is nothing to show it as.</summary>
    public char? StandInOf(Rune rune)
    {
        if (rune.IsBmp && !_named.Contains((char)rune.Value))
        {
            return (char)rune.Value;
        }

        int run = rune.IsBmp ? -1 : Array.BinarySearch(_starts, rune.Value);
        char standIn = _standIns[rune.IsBmp ? 0 : run < 0 ? ~run : run + 1, (int)Rune.GetUnicodeCategory(rune)];
        return standIn == 0 ? null : standIn;
    }

    private string Rewrite(in Part part)
    {
        StringBuilder text = new();
        if (part.First < Plane)
        {
            text.Append(CultureInfo.InvariantCulture, $"\\u{part.First:X4}-\\uFFFF");
        }

        for (int run = 0; run < _starts.Length; run++)
        {
            if (_starts[run] < Math.Max(part.First, Plane) || _starts[run] > part.Last)
            {
                continue;
            }

            for (int category = 0; category < Categories; category++)
            {
                // Outside of brackets there is one character, of one category.
                char standIn = _standIns[1 + run, category];
                if (standIn != 0 && (part.IsRange || category == (int)CharUnicodeInfo.GetUnicodeCategory(part.First)))
                {
                    text.Append(CultureInfo.InvariantCulture, $"\\u{(int)standIn:X4}");
                    _named.Add(standIn);
                }
            }
        }

        return text.Length > 0 ? text.ToString() : throw new ArgumentException("it names more characters than can be told apart");
    }

    // Cuts an expression into characters and ranges that it names, and the rest. What is taken for a name and is none does no harm.
    private static List<Part> Scan(string pattern)
    {
        List<Part> parts = [];
        int depth = 0;
        for (int i = 0; i < pattern.Length;)
        {
            (int length, int character) = Next(pattern, i);
            bool isBracket = length == 1 && pattern[i] is '[' or ']';
            if (isBracket && pattern[i] == '[' && (depth == 0 || (i > 0 && pattern[i - 1] == '-')))
            {
                // A bracket that comes first inside of brackets is a character.
                length += pattern.AsSpan(i + 1) is ['^', ']', ..] ? 2 : pattern.AsSpan(i + 1) is ['^', ..] or [']', ..] ? 1 : 0;
                depth++;
                character = -1;
            }
            else if (isBracket && pattern[i] == ']' && depth > 0)
            {
                depth--;
                character = -1;
            }
            else if (depth > 0 && character >= 0 && i + length + 1 < pattern.Length && pattern[i + length] == '-'
                && pattern[i + length + 1] is not (']' or '['))
            {
                (int endLength, int end) = Next(pattern, i + length + 1);
                if (end >= character)
                {
                    int all = length + 1 + endLength;
                    parts.Add(new Part(pattern.Substring(i, all), character, end, IsRange: true));
                    i += all;
                    continue;
                }
            }

            parts.Add(new Part(pattern.Substring(i, length), character, character, IsRange: false));
            i += length;
        }

        return parts;
    }

    /// <summary>Units of what stands at a place, and the character it names; -1 when it is none.</summary>
    private static (int Length, int Character) Next(string pattern, int at)
    {
        if (pattern[at] != '\\')
        {
            return Rune.TryGetRuneAt(pattern, at, out Rune rune) ? (rune.Utf16SequenceLength, rune.Value) : (1, -1);
        }

        if (at + 1 >= pattern.Length)
        {
            return (1, -1);
        }

        switch (pattern[at + 1])
        {
            case 'u' when Hex(pattern, at + 2, 4) is int unit:
                return char.IsHighSurrogate((char)unit) && pattern.AsSpan(at + 6).StartsWith("\\u") && Hex(pattern, at + 8, 4) is int low
                    && char.IsLowSurrogate((char)low)
                    ? (12, char.ConvertToUtf32((char)unit, (char)low)) : (6, unit);
            case 'x' when Hex(pattern, at + 2, 2) is int unit:
                return (4, unit);
            case 'p' or 'P' when pattern.AsSpan(at + 2).StartsWith("{") && pattern.IndexOf('}', at) is int close and > 0:
                return (close - at + 1, -1);
            case var c when char.IsAsciiLetterOrDigit(c):
                return (2, -1);
            default:
                return Rune.TryGetRuneAt(pattern, at + 1, out Rune escaped) ? (1 + escaped.Utf16SequenceLength, escaped.Value) : (2, -1);
        }
    }

    private static int? Hex(string text, int at, int digits) => at + digits <= text.Length
        && int.TryParse(text.AsSpan(at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) ? value : null;

    private static (char[][] BasicPlane, bool[] Beyond) ListCategories()
    {
        List<char>[] lists = [.. Enumerable.Range(0, Categories).Select(_ => new List<char>())];
        for (int c = Plane - 3; c >= LowestStandIn; c--)
        {
            lists[(int)CharUnicodeInfo.GetUnicodeCategory(c)].Add((char)c);
        }

        bool[] beyond = new bool[Categories];
        for (int c = Plane; c <= LastCharacter; c++)
        {
            beyond[(int)CharUnicodeInfo.GetUnicodeCategory(c)] = true;
        }

        return ([.. lists.Select(l => l.ToArray())], beyond);
    }

    /// <summary>A piece of an expression.</summary>
    /// <param name="Text">As it stands there.</param>
    /// <param name="First">First character that it names; -1 for none.</param>
    /// <param name="Last">Last one.</param>
    /// <param name="IsRange">Whether it is a range.</param>
    private readonly record struct Part(string Text, int First, int Last, bool IsRange);
}
