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

    // On a busy machine a match may run out of its time by the clock without having had the processor.
    private const int MostAttempts = 5;

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
        (string projected, int[]? origin) = Project(text, budget);
        for (int attempt = 1; ; attempt++)
        {
            TextBudget.MatchClock clock = budget.StartMatching();
            try
            {
                List<(int Start, int End, bool IsMatch)> parts = Match(text, projected, origin, budget, clock);
                budget.EndMatching(clock);
                return parts;
            }
            catch (RegexMatchTimeoutException e)
            {
                if (attempt == MostAttempts || !TextBudget.WasInterrupted(clock))
                {
                    throw budget.TooSlow(e);
                }
            }
        }
    }

    private List<(int Start, int End, bool IsMatch)> Match(string text, string projected, int[]? origin, TextBudget budget, in TextBudget.MatchClock clock)
    {
        var parts = new List<(int Start, int End, bool IsMatch)>();
        int last = 0, matches = 0;
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
                budget.CheckMatching(clock);
            }
        }

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
