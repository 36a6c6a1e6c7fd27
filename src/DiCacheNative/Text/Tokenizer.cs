using System.Text;

namespace DiCacheNative.Text;

/// <summary>
/// Turns text into token ids as the tokenizers library does with the same <c>tokenizer.json</c>: byte-level BPE (CLIP) and
/// Unigram (T5, UMT5). Safe to use from several threads.
/// </summary>
/// <remarks>Decoding and pairs of texts are not supported: text encoders need neither.</remarks>
public sealed class Tokenizer
{
    private readonly string _file;
    private readonly TokenizerParts _parts;
    private readonly AddedTokenFinder _inOriginal;
    private readonly AddedTokenFinder _inNormalized;

    internal Tokenizer(string file, TokenizerParts parts)
    {
        (_file, _parts) = (file, parts);
        _inOriginal = new AddedTokenFinder(parts.AddedTokens.Where(t => !t.Normalized));

        // A token that is looked for in normalized text is itself normalized first.
        var budget = new TextBudget(file);
        _inNormalized = new AddedTokenFinder(parts.AddedTokens
            .Where(t => t.Normalized)
            .Select(t => t with { Content = Normalize(t.Content, budget) })
            .Where(t => t.Content.Length > 0));
        VocabularySize = Math.Max(parts.Model.Size, parts.AddedTokens.Select(t => t.Id + 1).DefaultIfEmpty().Max());
    }

    /// <summary>One more than the largest token id.</summary>
    public int VocabularySize { get; }

    /// <summary>
    /// The length the model was trained for (<c>model_max_length</c> of tokenizer_config.json, else the truncation length), or null
    /// when the files do not say.
    /// </summary>
    public int? MaxLength => _parts.ModelMaxLength ?? _parts.TruncateTo;

    /// <summary>Whether a text that is too long loses its beginning instead of its end.</summary>
    public bool CutsAtStart => _parts.TruncateLeft;

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="path">
    /// A <c>tokenizer.json</c>, or a folder with one; a folder with only <c>vocab.json</c> and <c>merges.txt</c> is read as CLIP's.
    /// <c>tokenizer_config.json</c> and <c>special_tokens_map.json</c> beside it give the padding token and the model's length.
    /// </param>
    /// <exception cref="ModelFormatException">A file is missing, broken, or asks for something that is not supported; the message names it.</exception>
    public static Tokenizer Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return TokenizerReader.Read(path);
    }

    /// <summary>Tokenizes a text, with the special tokens its model wants.</summary>
    /// <param name="text">Any text; lone surrogates count as U+FFFD.</param>
    /// <param name="maxLength">
    /// The number of ids to give: a longer text is cut (its special tokens stay), a shorter one padded. Null for what the file says
    /// about cutting and padding, which may be nothing.
    /// </param>
    /// <exception cref="ArgumentException">The text has more than a million characters.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length leaves no room for the special tokens.</exception>
    /// <exception cref="ModelFormatException">Padding is needed and the files name no padding token, or the rules of the file take too long or too much memory
    /// for a text.</exception>
    public TokenizedText Encode(string text, int? maxLength = null)
    {
        ArgumentNullException.ThrowIfNull(text);
        int special = _parts.Before.Length + _parts.After.Length;
        if (maxLength < special || maxLength > TokenizerParts.LongestText)
        {
            throw new ArgumentOutOfRangeException(
                nameof(maxLength), maxLength, $"the length must be from {special} (the special tokens) to {TokenizerParts.LongestText}");
        }

        if (text.Length > TextBudget.LongestText)
        {
            throw new ArgumentException($"the text has {text.Length} characters, {TextBudget.LongestText} are the most", nameof(text));
        }

        List<int> ids = [];
        Tokenize(text, ids, new TextBudget(_file));
        int given = ids.Count + special;
        if ((maxLength ?? _parts.TruncateTo) is { } limit && ids.Count > limit - special)
        {
            int excess = ids.Count - (limit - special);
            ids.RemoveRange(_parts.TruncateLeft ? 0 : ids.Count - excess, excess);
        }

        ids.InsertRange(0, _parts.Before);
        ids.AddRange(_parts.After);
        return Pad(ids, maxLength ?? PaddedLength(ids.Count), given);
    }

    /// <summary>Refuses a length of which the special tokens alone take more than there is, or that no text has.</summary>
    /// <param name="length">What an encoder takes.</param>
    /// <exception cref="ModelFormatException">Encoder and tokenizer do not belong together.</exception>
    internal void RequireRoom(int length)
    {
        int special = _parts.Before.Length + _parts.After.Length;
        if (length < special || length > TokenizerParts.LongestText)
        {
            throw new ModelFormatException(_file, $"its {special} special tokens do not fit into the {length} tokens that the text encoder takes");
        }
    }

    private void Tokenize(string text, List<int> ids, TextBudget budget)
    {
        var whole = new Piece(WithoutLoneSurrogates(text), AtStart: true);
        foreach ((Piece part, int? partId) in _inOriginal.Split(whole, budget))
        {
            if (partId is not null)
            {
                ids.Add(partId.Value);
                continue;
            }

            foreach ((Piece piece, int? id) in _inNormalized.Split(part with { Text = Normalize(part.Text, budget) }, budget))
            {
                if (id is not null)
                {
                    ids.Add(id.Value);
                    continue;
                }

                foreach (Piece word in PreTokenize(piece, budget))
                {
                    budget.Piece(word.Text.Length);
                    _parts.Model.Encode(word.Text, ids, budget);
                }
            }
        }
    }

    private string Normalize(string text, TextBudget budget)
    {
        foreach (Func<string, TextBudget, string> normalize in _parts.Normalizers)
        {
            text = normalize(text, budget);
            budget.Write(text.Length);
        }

        return text;
    }

    private List<Piece> PreTokenize(Piece piece, TextBudget budget)
    {
        List<Piece> pieces = [piece];
        foreach (IPreTokenizer preTokenizer in _parts.PreTokenizers)
        {
            List<Piece> split = [];
            foreach (Piece part in pieces)
            {
                int before = split.Count;
                preTokenizer.Split(part, split, budget);
                for (int i = before; i < split.Count; i++)
                {
                    budget.Write(split[i].Text.Length);
                }
            }

            pieces = split;
        }

        return pieces;
    }

    private int PaddedLength(int count)
    {
        int length = Math.Max(count, _parts.PadTo ?? 0);
        int multiple = _parts.PadToMultipleOf;
        return (length + multiple - 1) / multiple * multiple;
    }

    private TokenizedText Pad(List<int> ids, int length, int given)
    {
        int[] padded = new int[length];
        int[] mask = new int[length];
        int padding = length - ids.Count;
        int start = _parts.PadLeft ? padding : 0;
        if (padding > 0)
        {
            Array.Fill(padded, _parts.PadId ?? throw new ModelFormatException(
                _file, $"a text has to be padded to {length} tokens, but no padding token is named; add \"pad_token\" to tokenizer_config.json"));
        }

        ids.CopyTo(padded, start);
        Array.Fill(mask, 1, start, ids.Count);
        return new TokenizedText(padded, mask, given);
    }

    // UTF-8 has no lone surrogates: converting there and back replaces them.
    private static string WithoutLoneSurrogates(string text) =>
        text.Any(char.IsSurrogate) ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) : text;
}
