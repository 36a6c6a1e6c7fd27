namespace DiCacheNative.Text;

/// <summary>A part of the text on its way through the pre-tokenizers.</summary>
/// <param name="Text">Its characters.</param>
/// <param name="AtStart">True when it begins where the whole text begins.</param>
internal readonly record struct Piece(string Text, bool AtStart);
