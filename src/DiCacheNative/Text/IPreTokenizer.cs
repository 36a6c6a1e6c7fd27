namespace DiCacheNative.Text;

/// <summary>Cuts a piece of text into smaller ones before the model sees them.</summary>
internal interface IPreTokenizer
{
    /// <summary>Adds the parts of a piece that is not empty.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="into">Where the parts go.</param>
    /// <param name="budget">What the text may cost.</param>
    void Split(Piece piece, List<Piece> into, TextBudget budget);
}
