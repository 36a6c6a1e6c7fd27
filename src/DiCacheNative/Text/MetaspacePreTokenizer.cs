namespace DiCacheNative.Text;

/// <summary>When a metaspace marker is put before a piece that has none.</summary>
internal enum PrependScheme
{
    Always,
    First,
    Never,
}

/// <summary>Replaces spaces by a visible marker, which then begins each word (tokenizers' Metaspace).</summary>
internal sealed class MetaspacePreTokenizer(char marker, PrependScheme scheme, bool split) : IPreTokenizer
{
    private readonly TextPattern _pattern = TextPattern.Literal(marker.ToString());

    public void Split(Piece piece, List<Piece> into, TextBudget budget)
    {
        string text = piece.Text.Replace(' ', marker);
        if (text[0] != marker && (scheme == PrependScheme.Always || (scheme == PrependScheme.First && piece.AtStart)))
        {
            text = marker + text;
        }

        if (!split)
        {
            into.Add(piece with { Text = text });
            return;
        }

        foreach ((int start, int end) in _pattern.Split(text, budget, SplitBehavior.MergedWithNext))
        {
            into.Add(new Piece(text[start..end], piece.AtStart && start == 0));
        }
    }
}
