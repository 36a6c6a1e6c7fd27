using System.Text;

namespace DiCacheNative.Text;

/// <summary>Byte-pair encoding: a word starts as characters, and the pair that was learned first is merged first.</summary>
internal sealed class BpeModel : ITokenModel
{
    private readonly Dictionary<string, int> _vocabulary;
    private readonly Dictionary<(int Left, int Right), (int Rank, int Id)> _merges;
    private readonly Options _options;
    private readonly int? _unknown;
    private readonly int[]? _bytes;

    public BpeModel(Dictionary<string, int> vocabulary, Dictionary<(int Left, int Right), (int Rank, int Id)> merges, Options options)
    {
        (_vocabulary, _merges, _options) = (vocabulary, merges, options);
        Size = vocabulary.Values.DefaultIfEmpty(-1).Max() + 1;
        _unknown = options.UnknownToken is null ? null : vocabulary[options.UnknownToken];
        _bytes = options.ByteFallback ? [.. Enumerable.Range(0, 256).Select(b => Find($"<0x{b:X2}>") ?? -1)] : null;
    }

    /// <inheritdoc/>
    public int Size { get; }

    /// <inheritdoc/>
    public int? Find(string token) => _vocabulary.TryGetValue(token, out int id) ? id : null;

    /// <inheritdoc/>
    public void Encode(string piece, List<int> ids, TextBudget budget)
    {
        if (_options.IgnoreMerges && Find(piece) is { } whole)
        {
            ids.Add(whole);
            return;
        }

        List<int> symbols = Characters(piece, budget);
        Merge(symbols, ids);
    }

    private List<int> Characters(string piece, TextBudget budget)
    {
        var symbols = new List<int>(piece.Length);
        bool afterUnknown = false;
        int prefixAndSuffix = 1 + _options.ContinuingPrefix.Length + _options.EndOfWordSuffix.Length;
        for (int start = 0; start < piece.Length;)
        {
            budget.Work(prefixAndSuffix);
            int end = start + (char.IsHighSurrogate(piece[start]) && start + 1 < piece.Length ? 2 : 1);
            string prefix = start == 0 ? "" : _options.ContinuingPrefix;
            string suffix = end < piece.Length ? "" : _options.EndOfWordSuffix;
            string symbol = prefix + piece[start..end] + suffix;
            if (_vocabulary.TryGetValue(symbol, out int id))
            {
                symbols.Add(id);
                afterUnknown = false;
            }
            else if (_bytes is not null && Encoding.UTF8.GetBytes(symbol) is var bytes && bytes.All(b => _bytes[b] >= 0))
            {
                symbols.AddRange(bytes.Select(b => _bytes[b]));
            }
            else if (_unknown is { } unknown)
            {
                if (!afterUnknown || !_options.FuseUnknown)
                {
                    symbols.Add(unknown);
                }

                afterUnknown = true;
            }

            start = end;
        }

        return symbols;
    }

    // Merges by a queue ordered by rank, then place; the symbols are a linked list over the array, so that a long word costs
    // n log n and not n squared. A queued pair may be gone when its turn comes: it is checked again.
    private void Merge(List<int> symbols, List<int> ids)
    {
        int count = symbols.Count;
        int[] previous = new int[count];
        int[] next = new int[count];
        bool[] gone = new bool[count];
        var queue = new PriorityQueue<(int Left, int Id), (int Rank, int Left)>();
        for (int i = 0; i < count; i++)
        {
            (previous[i], next[i]) = (i - 1, i + 1 < count ? i + 1 : -1);
            Offer(i);
        }

        while (queue.TryDequeue(out (int Left, int Id) pair, out _))
        {
            int left = pair.Left;
            int right = gone[left] ? -1 : next[left];
            if (right < 0 || !_merges.TryGetValue((symbols[left], symbols[right]), out (int Rank, int Id) merge) || merge.Id != pair.Id)
            {
                continue;
            }

            symbols[left] = merge.Id;
            gone[right] = true;
            next[left] = next[right];
            if (next[left] >= 0)
            {
                previous[next[left]] = left;
            }

            Offer(previous[left]);
            Offer(left);
        }

        for (int i = 0; i < count; i++)
        {
            if (!gone[i])
            {
                ids.Add(symbols[i]);
            }
        }

        void Offer(int left)
        {
            int right = left < 0 ? -1 : next[left];
            if (right >= 0 && _merges.TryGetValue((symbols[left], symbols[right]), out (int Rank, int Id) merge))
            {
                queue.Enqueue((left, merge.Id), (merge.Rank, left));
            }
        }
    }

    /// <summary>What a tokenizer.json says about its BPE model besides vocabulary and merges.</summary>
    /// <param name="UnknownToken">Token for a character outside the vocabulary; null to leave such characters out.</param>
    /// <param name="ContinuingPrefix">Prefix of a token that does not begin a word; may be empty.</param>
    /// <param name="EndOfWordSuffix">Suffix of a token that ends a word; may be empty.</param>
    /// <param name="FuseUnknown">True to make one token of a run of unknown characters.</param>
    /// <param name="ByteFallback">True to write unknown characters as byte tokens where the vocabulary has all of them.</param>
    /// <param name="IgnoreMerges">True to take a word that is in the vocabulary as it is.</param>
    public sealed record Options(
        string? UnknownToken, string ContinuingPrefix, string EndOfWordSuffix, bool FuseUnknown, bool ByteFallback, bool IgnoreMerges);
}
