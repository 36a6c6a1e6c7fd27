using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace DiCacheNative.Text;

/// <summary>What happens to the matches of a splitting pattern (tokenizers' SplitDelimiterBehavior).</summary>
internal enum SplitBehavior
{
    Removed,
    Isolated,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary>A literal text or a regular expression that is found in a text, used to replace and to split.</summary>
internal sealed class TextPattern
{
    // A pattern comes with a model file: one that backtracks for ever must not hang the program.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(2);

    private static readonly Lazy<char[]> Representatives = new(FindRepresentatives);

    private readonly Regex _regex;

    public TextPattern(string regex) => _regex = new Regex(regex, RegexOptions.CultureInvariant, Timeout);

    public static TextPattern Literal(string text) => new(Regex.Escape(text));

    public string Replace(string text, string replacement)
    {
        var result = new StringBuilder(text.Length);
        foreach ((int start, int end, bool isMatch) in Parts(text))
        {
            result.Append(isMatch ? replacement : text.AsSpan(start, end - start));
        }

        return result.ToString();
    }

    /// <summary>Cuts a text into ranges; empty ones are left out.</summary>
    /// <param name="text">The text.</param>
    /// <param name="behavior">Where the matches go.</param>
    /// <param name="invert">True when what lies between the matches counts as the match.</param>
    public List<(int Start, int End)> Split(string text, SplitBehavior behavior, bool invert = false)
    {
        var ranges = new List<(int Start, int End)>();
        var parts = Parts(text);
        if (behavior == SplitBehavior.MergedWithNext)
        {
            parts.Reverse();
        }

        bool? previous = null;
        foreach ((int start, int end, bool isMatch) in parts)
        {
            bool match = isMatch != invert;
            bool merge = ranges.Count > 0 && behavior switch
            {
                SplitBehavior.MergedWithPrevious => match && previous == false,
                SplitBehavior.MergedWithNext => match && previous == false,
                SplitBehavior.Contiguous => match == previous,
                _ => false,
            };
            if (merge)
            {
                ranges[^1] = (Math.Min(ranges[^1].Start, start), Math.Max(ranges[^1].End, end));
            }
            else if (!match || behavior != SplitBehavior.Removed)
            {
                ranges.Add((start, end));
            }

            previous = match;
        }

        if (behavior == SplitBehavior.MergedWithNext)
        {
            ranges.Reverse();
        }

        ranges.RemoveAll(r => r.Start == r.End);
        return ranges;
    }

    // Matches and what lies between them, in order, covering the whole text.
    private List<(int Start, int End, bool IsMatch)> Parts(string text)
    {
        var parts = new List<(int Start, int End, bool IsMatch)>();
        (string projected, int[]? origin) = Project(text);
        int last = 0;
        foreach (ValueMatch match in _regex.EnumerateMatches(projected))
        {
            int start = origin?[match.Index] ?? match.Index;
            int end = origin?[match.Index + match.Length] ?? (match.Index + match.Length);
            if (last < start)
            {
                parts.Add((last, start, false));
            }

            parts.Add((start, end, true));
            last = end;
        }

        if (last < text.Length)
        {
            parts.Add((last, text.Length, false));
        }

        return parts;
    }

    // .NET's expressions see a character outside the basic plane as two surrogates, which are neither letters nor digits to them.
    // So each such character is shown to them as one of the basic plane that has the same category.
    private static (string Projected, int[]? Origin) Project(string text)
    {
        if (!text.Any(char.IsSurrogate))
        {
            return (text, null);
        }

        var projected = new StringBuilder(text.Length);
        var origin = new List<int>(text.Length + 1);
        int position = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            projected.Append(rune.IsBmp ? (char)rune.Value : Representatives.Value[(int)Rune.GetUnicodeCategory(rune)]);
            origin.Add(position);
            position += rune.Utf16SequenceLength;
        }

        origin.Add(position);
        return (projected.ToString(), [.. origin]);
    }

    private static char[] FindRepresentatives()
    {
        char[] first = new char[(int)UnicodeCategory.OtherNotAssigned + 1];
        for (int c = 0xFFFD; c >= 0x2000; c--)
        {
            first[(int)CharUnicodeInfo.GetUnicodeCategory(c)] = (char)c;
        }

        return first;
    }
}
