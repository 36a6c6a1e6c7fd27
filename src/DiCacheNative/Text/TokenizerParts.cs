namespace DiCacheNative.Text;

/// <summary>What a tokenizer is made of, in the order in which a text passes through it.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The most tokens that a file may ask to pad or cut to: beyond it a number is a mistake or an attack on the memory.</summary>
    public const int LongestText = 1 << 20;

    /// <summary>Most tokens of a vocabulary; released ones have up to 262,144.</summary>
    public const int MostTokens = 1 << 20;

    /// <summary>Most merges.</summary>
    public const int MostMerges = 1 << 20;

    /// <summary>Most added tokens.</summary>
    public const int MostAddedTokens = 1 << 16;

    /// <summary>Longest token, in UTF-16 units; released ones have up to a few hundred.</summary>
    public const int LongestToken = 1024;

    /// <summary>Most normalizers, and most pre-tokenizers; released files have up to five.</summary>
    public const int MostSteps = 16;

    /// <summary>Most special tokens before and after a text.</summary>
    public const int MostSpecial = 256;

    public List<AddedToken> AddedTokens { get; init; } = [];

    public List<Func<string, TextBudget, string>> Normalizers { get; init; } = [];

    public List<IPreTokenizer> PreTokenizers { get; init; } = [];

    public required ITokenModel Model { get; init; }

    /// <summary>Special tokens before the text.</summary>
    public int[] Before { get; init; } = [];

    /// <summary>Special tokens after the text.</summary>
    public int[] After { get; init; } = [];

    /// <summary>Most tokens of a text, special ones included; null for no limit.</summary>
    public int? TruncateTo { get; init; }

    public bool TruncateLeft { get; init; }

    /// <summary>Fewest tokens; null for no padding.</summary>
    public int? PadTo { get; init; }

    public int PadToMultipleOf { get; init; } = 1;

    public bool PadLeft { get; init; }

    public int? PadId { get; init; }

    public int? ModelMaxLength { get; init; }
}
