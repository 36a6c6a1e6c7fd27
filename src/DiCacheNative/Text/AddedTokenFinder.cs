using System.Globalization;
using System.Text;

namespace DiCacheNative.Text;

/// <summary>Finds added tokens in a text, the leftmost first and of those the longest.</summary>
internal sealed class AddedTokenFinder
{
    private readonly Dictionary<char, AddedToken[]> _byFirst;

    public AddedTokenFinder(IEnumerable<AddedToken> tokens) => _byFirst = tokens
        .GroupBy(t => t.Content[0])
        .ToDictionary(g => g.Key, g => g.OrderByDescending(t => t.Content.Length).ToArray());

    /// <summary>Cuts a text into added tokens and the text between them; empty parts are left out.</summary>
    public IEnumerable<(Piece Piece, int? Id)> Split(Piece piece, TextBudget budget)
    {
        string text = piece.Text;
        int last = 0;
        for (int i = 0; i < text.Length;)
        {
            if (Match(text, i, budget) is not { } token)
            {
                i++;
                continue;
            }

            int start = i;
            int end = i + token.Content.Length;
            i = end;
            if (token.SingleWord && ((start > 0 && IsWord(text, start - 1)) || (end < text.Length && IsWord(text, end))))
            {
                continue;
            }

            while (token.StripLeft && start > last && char.IsWhiteSpace(text[start - 1]))
            {
                start--;
            }

            while (token.StripRight && end < text.Length && char.IsWhiteSpace(text[end]))
            {
                end++;
            }

            if (start > last)
            {
                yield return (new Piece(text[last..start], piece.AtStart && last == 0), null);
            }

            yield return (new Piece(text[start..end], piece.AtStart && start == 0), token.Id);
            (last, i) = (end, Math.Max(i, end));
        }

        if (last < text.Length)
        {
            yield return (new Piece(text[last..], piece.AtStart && last == 0), null);
        }
    }

    private AddedToken? Match(string text, int start, TextBudget budget)
    {
        if (!_byFirst.TryGetValue(text[start], out AddedToken[]? tokens))
        {
            return null;
        }

        budget.Work(tokens.Length);
        return Array.Find(tokens, t => string.CompareOrdinal(text, start, t.Content, 0, t.Content.Length) == 0);
    }

    // The meaning of \w in a regular expression, for the character that holds a position.
    private static bool IsWord(string text, int index)
    {
        int start = index > 0 && char.IsLowSurrogate(text[index]) ? index - 1 : index;
        return Rune.TryGetRuneAt(text, start, out Rune rune)
            && Rune.GetUnicodeCategory(rune) is <= UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
    }
}
