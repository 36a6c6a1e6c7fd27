namespace DiCacheNative.Text;

/// <summary>Splits at a pattern (tokenizers' Split and WhitespaceSplit).</summary>
internal sealed class SplitPreTokenizer(TextPattern pattern, SplitBehavior behavior, bool invert) : IPreTokenizer
{
    /// <summary>Splits at white space and drops it.</summary>
    public static SplitPreTokenizer AtWhitespace() => new(new TextPattern(@"\s"), SplitBehavior.Removed, invert: false);

    public void Split(Piece piece, List<Piece> into, TextBudget budget)
    {
        foreach ((int start, int end) in pattern.Split(piece.Text, budget, behavior, invert))
        {
            into.Add(new Piece(piece.Text[start..end], piece.AtStart && start == 0));
        }
    }
}
