namespace DiCacheNative.Text;

/// <summary>A token that is found in the text itself, before the model sees it: special tokens and those added after training.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">The text it stands for.</param>
/// <param name="SingleWord">True to find it only where no letter or digit touches it.</param>
/// <param name="StripLeft">True to swallow white space before it.</param>
/// <param name="StripRight">True to swallow white space after it.</param>
/// <param name="Normalized">True to look for it in the normalized text instead of the original.</param>
internal sealed record AddedToken(int Id, string Content, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized);
