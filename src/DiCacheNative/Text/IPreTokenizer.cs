namespace DiCacheNative.Text;

/// <summary>Cuts a piece of text into smaller ones before the model sees them.</summary>
internal interface IPreTokenizer
{
    /// <summary>Adds the parts of a piece that is not empty.</summary>
    void Split(Piece piece, List<Piece> into);
}
