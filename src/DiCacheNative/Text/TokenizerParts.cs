namespace DiCacheNative.Text;

/// <summary>What a tokenizer is made of, in the order in which a text passes through it.</summary>
internal sealed record TokenizerParts
{
    /// <summary>The most tokens that a file may ask to pad or cut to: beyond it a number is a mistake or an attack on the memory.</summary>
    public const int LongestText = 1 << 20;

    public List<AddedToken> AddedTokens { get; init; } = [];

    public List<Func<string, string>> Normalizers { get; init; } = [];

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
