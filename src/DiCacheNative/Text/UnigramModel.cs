using System.Text;

namespace DiCacheNative.Text;

/// <summary>SentencePiece's unigram model: the segmentation with the largest sum of scores (Viterbi).</summary>
internal sealed class UnigramModel : ITokenModel
{
    // What an unknown character costs below the worst token, as in SentencePiece.
    private const double UnknownPenalty = 10;

    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly double[] _scores;

    // Lengths of tokens, ascending.
    private readonly int[] _lengths;
    private readonly int? _unknown;
    private readonly double _unknownScore;
    private readonly int[]? _bytes;

    /// <param name="vocabulary">Tokens and scores; a token's id is its place.</param>
    /// <param name="unknown">Id of the unknown token, if there is one.</param>
    /// <param name="byteFallback">True to write unknown characters as byte tokens "&lt;0xE2&gt;" where the vocabulary has all of them.</param>
    public UnigramModel(List<(string Token, double Score)> vocabulary, int? unknown, bool byteFallback)
    {
        _scores = new double[vocabulary.Count];
        for (int id = 0; id < vocabulary.Count; id++)
        {
            (string token, _scores[id]) = vocabulary[id];
            _ids[token] = id;
        }

        _lengths = [.. _ids.Keys.Select(t => t.Length).Where(l => l > 0).Distinct().Order()];
        _lookup = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _unknown = unknown;
        _unknownScore = _scores.DefaultIfEmpty().Min() - UnknownPenalty;
        _bytes = byteFallback ? [.. Enumerable.Range(0, 256).Select(b => Find($"<0x{b:X2}>") ?? -1)] : null;
    }

    /// <inheritdoc/>
    public int Size => _scores.Length;

    /// <inheritdoc/>
    public int? Find(string token) => _ids.TryGetValue(token, out int id) ? id : null;

    /// <inheritdoc/>
    public void Encode(string piece, List<int> ids, TextBudget budget)
    {
        var best = new (double Score, int Start, int Id)[piece.Length + 1];
        Array.Fill(best, (0, -1, -1));
        for (int start = 0; start < piece.Length;)
        {
            int character = char.IsHighSurrogate(piece[start]) && start + 1 < piece.Length ? 2 : 1;
            bool known = false;
            foreach (int length in _lengths)
            {
                if (length > piece.Length - start)
                {
                    break;
                }

                budget.Work(length);
                if (_lookup.TryGetValue(piece.AsSpan(start, length), out int id))
                {
                    Offer(best, start, start + length, _scores[id], id == _unknown ? -1 : id);
                    known |= length == character;
                }
            }

            if (!known)
            {
                Offer(best, start, start + character, _unknownScore, -1);
            }

            start += character;
        }

        Collect(piece, best, ids);
    }

    private static void Offer((double Score, int Start, int Id)[] best, int start, int end, double score, int id)
    {
        double total = best[start].Score + score;
        if (best[end].Start < 0 || total > best[end].Score)
        {
            best[end] = (total, start, id);
        }
    }

    private void Collect(string piece, (double Score, int Start, int Id)[] best, List<int> ids)
    {
        int first = ids.Count;
        for (int end = piece.Length; end > 0;)
        {
            (_, int start, int id) = best[end];

            // A run of unknown characters is one unknown token.
            while (id < 0 && start > 0 && best[start].Id < 0)
            {
                start = best[start].Start;
            }

            if (id >= 0)
            {
                ids.Add(id);
            }
            else
            {
                AddUnknown(piece.AsSpan(start, end - start), ids);
            }

            end = start;
        }

        ids.Reverse(first, ids.Count - first);
    }

    // In reverse order, as everything that Collect adds.
    private void AddUnknown(ReadOnlySpan<char> text, List<int> ids)
    {
        // The text of a run may be a token, such as that for unknown characters itself.
        if (_lookup.TryGetValue(text, out int id))
        {
            ids.Add(id);
            return;
        }

        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(text)];
        Encoding.UTF8.GetBytes(text, bytes);
        if (_bytes is not null && bytes.All(b => _bytes[b] >= 0))
        {
            ids.AddRange(bytes.Reverse().Select(b => _bytes[b]));
        }
        else if (_unknown is { } unknown)
        {
            ids.Add(unknown);
        }
    }
}
