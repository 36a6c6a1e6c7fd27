namespace DiCacheNative.Text;

/// <summary>One text as token ids, padded to the length the model wants.</summary>
public sealed class TokenizedText
{
    /// <summary>Creates a tokenized text.</summary>
    /// <param name="ids">Token ids, special tokens and padding included.</param>
    /// <param name="attentionMask">1 for a token of the text or a special token, 0 for padding; as long as <paramref name="ids"/>.</param>
    /// <param name="givenCount">Tokens that the whole text has, special ones included; null when it was not cut.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public TokenizedText(int[] ids, int[] attentionMask, int? givenCount = null)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentNullException.ThrowIfNull(attentionMask);
        if (ids.Length != attentionMask.Length)
        {
            throw new ArgumentException($"{ids.Length} token ids came with a mask of {attentionMask.Length}", nameof(attentionMask));
        }

        (Ids, AttentionMask) = (ids, attentionMask);
        TokenCount = attentionMask.Count(m => m != 0);
        GivenCount = givenCount ?? TokenCount;
    }

    /// <summary>Token ids, special tokens and padding included.</summary>
    public int[] Ids { get; }

    /// <summary>1 for a token of the text or a special token, 0 for padding.</summary>
    public int[] AttentionMask { get; }

    /// <summary>Number of tokens that are not padding; special tokens count.</summary>
    public int TokenCount { get; }

    /// <summary>Number of tokens that the whole text has, special tokens included: more than <see cref="TokenCount"/> when it was cut.</summary>
    public int GivenCount { get; }
}
