using System.Diagnostics;
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
    /// <summary>Longest expression that is read; released ones have at most a few hundred units.</summary>
    public const int LongestPattern = 4096;

    // One match may be slow, so few of them.
    private const int MatchesBetweenChecks = 8;

    private readonly PatternAlphabet _alphabet;
    private readonly Regex _regex;

    /// <exception cref="ArgumentException">The expression cannot be used.</exception>
    public TextPattern(string regex)
    {
        if (regex.Length > LongestPattern)
        {
            throw new ArgumentException($"it has {regex.Length} characters, {LongestPattern} are the most");
        }

        _alphabet = PatternAlphabet.Of(regex);
        _regex = new Regex(_alphabet.Pattern, RegexOptions.CultureInvariant, TextBudget.MatchLimit);
    }

    public static TextPattern Literal(string text) => new(Regex.Escape(text));

    public string Replace(string text, string replacement, TextBudget budget)
    {
        var result = new StringBuilder(text.Length);
        foreach ((int start, int end, bool isMatch) in Parts(text, budget))
        {
            ReadOnlySpan<char> part = isMatch ? replacement : text.AsSpan(start, end - start);
            budget.Write(part.Length);
            result.Append(part);
        }

        return result.ToString();
    }

    /// <summary>Cuts a text into ranges; empty ones are left out.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">What the text may cost.</param>
    /// <param name="behavior">Where the matches go.</param>
    /// <param name="invert">True when what lies between the matches counts as the match.</param>
    public List<(int Start, int End)> Split(string text, TextBudget budget, SplitBehavior behavior, bool invert = false)
    {
        var ranges = new List<(int Start, int End)>();
        var parts = Parts(text, budget);
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
    private List<(int Start, int End, bool IsMatch)> Parts(string text, TextBudget budget)
    {
        budget.Piece(text.Length);
        var parts = new List<(int Start, int End, bool IsMatch)>();
        (string projected, int[]? origin) = Project(text, budget);
        int last = 0, matches = 0;
        long time = Stopwatch.GetTimestamp();
        budget.CheckMatching(time);
        try
        {
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
                if (++matches % MatchesBetweenChecks == 0)
                {
                    budget.CheckMatching(time);
                }
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw budget.TooSlow(e);
        }

        budget.EndMatching(time);

        if (last < text.Length)
        {
            parts.Add((last, text.Length, false));
        }

        return parts;
    }

    private (string Projected, int[]? Origin) Project(string text, TextBudget budget)
    {
        if (_alphabet.IsPlain(text))
        {
            return (text, null);
        }

        var projected = new StringBuilder(text.Length);
        var origin = new List<int>(text.Length + 1);
        int position = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            projected.Append(_alphabet.StandInOf(rune) ?? throw budget.Indistinct(rune.Value));
            origin.Add(position);
            position += rune.Utf16SequenceLength;
        }

        origin.Add(position);
        return (projected.ToString(), [.. origin]);
    }
}
