using System.Text;
using System.Text.Json;
using DiCacheNative.Json;

namespace DiCacheNative.Text;

/// <summary>Vocabularies and merges.</summary>
internal static partial class TokenizerReader
{
    // Put around every character of every word; released files have "</w>".
    private const int LongestAffix = 64;

    private static ITokenModel ReadModel(JsonField model)
    {
        // Files of early versions do not name the type.
        string type = model.Find("type")?.Text() ?? (model.Find("merges") is null ? "Unigram" : "BPE");
        return type switch
        {
            "BPE" => ReadBpe(model),
            "Unigram" => ReadUnigram(model),
            _ => throw model.Error($"the model '{type}' is not supported (BPE and Unigram are)"),
        };
    }

    private static UnigramModel ReadUnigram(JsonField model)
    {
        JsonField vocabulary = model.Get("vocab");
        var tokens = new List<(string Token, double Score)>();
        foreach (JsonField item in Limited(vocabulary, TokenizerParts.MostTokens))
        {
            tokens.Add(item.Value.ValueKind == JsonValueKind.Array && item.Value.GetArrayLength() == 2
                && JsonField.TryText(item.Value[0]) is { Length: <= TokenizerParts.LongestToken } token
                && item.Value[1].ValueKind == JsonValueKind.Number && item.Value[1].TryGetDouble(out double score) && double.IsFinite(score)
                ? (token, score)
                : throw item.Error("a token and its score were expected"));
        }

        bool byteFallback = model.Find("byte_fallback")?.Flag() ?? false;
        int? unknown = model.Find("unk_id")?.Integer(0, tokens.Count - 1);
        return unknown is not null || byteFallback
            ? new UnigramModel(tokens, unknown, byteFallback)
            : throw model.Error("'unk_id' is missing: a character outside the vocabulary could not be written");
    }

    private static BpeModel ReadBpe(JsonField model)
    {
        if (model.Find("dropout") is { } dropout && !(dropout.Value.ValueKind == JsonValueKind.Number && dropout.Value.GetDouble() == 0))
        {
            throw dropout.Error("dropout is for training; it should be null here");
        }

        Dictionary<string, int> vocabulary = ReadVocabulary(model.Get("vocab"));
        var options = new BpeModel.Options(
            model.Find("unk_token")?.Text() is { Length: > 0 } unknown ? unknown : null,
            model.Find("continuing_subword_prefix")?.Text() ?? "",
            model.Find("end_of_word_suffix")?.Text() ?? "",
            model.Find("fuse_unk")?.Flag() ?? false,
            model.Find("byte_fallback")?.Flag() ?? false,
            model.Find("ignore_merges")?.Flag() ?? false);
        IEnumerable<(string Left, string Right)> merges = Limited(model.Get("merges"), TokenizerParts.MostMerges).Select(ReadMerge);
        if (options.ContinuingPrefix.Length + options.EndOfWordSuffix.Length > LongestAffix)
        {
            throw model.Error($"a prefix or suffix of tokens has more than {LongestAffix} characters");
        }

        return MakeBpe(vocabulary, merges, options, model.Error);
    }

    private static Dictionary<string, int> ReadVocabulary(JsonField vocabulary)
    {
        if (vocabulary.Value.ValueKind != JsonValueKind.Object)
        {
            throw vocabulary.Error("an object with tokens and their ids was expected");
        }

        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty token in vocabulary.Value.EnumerateObject())
        {
            string name = token.Name;
            if (ids.Count == TokenizerParts.MostTokens || name.Length > TokenizerParts.LongestToken)
            {
                throw vocabulary.Error($"there are more than {TokenizerParts.MostTokens} tokens, or one of more than {TokenizerParts.LongestToken} characters");
            }

            ids[name] = token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out int id) && id is >= 0 and < int.MaxValue
                ? id
                : throw vocabulary.Error($"the id of '{name}' should be a whole number from 0");
        }

        return ids;
    }

    // "a b" in older files, ["a", "b"] in newer ones.
    private static (string Left, string Right) ReadMerge(JsonField merge)
    {
        string[] parts = merge.Value.ValueKind == JsonValueKind.Array
            ? [.. merge.Items().Select(p => p.Text())]
            : merge.Text().Split(' ');
        return parts.Length == 2 ? (parts[0], parts[1]) : throw merge.Error("a merge should name two tokens");
    }

    private static BpeModel MakeBpe(
        Dictionary<string, int> vocabulary, IEnumerable<(string Left, string Right)> merges, BpeModel.Options options,
        Func<string, ModelFormatException> error)
    {
        int IdOf(string token) => vocabulary.TryGetValue(token, out int id)
            ? id
            : throw error($"'{token}' is used but is not in the vocabulary");

        var ranks = new Dictionary<(int Left, int Right), (int Rank, int Id)>();
        int rank = 0;
        foreach ((string left, string right) in merges)
        {
            string tail = options.ContinuingPrefix.Length > 0 && right.StartsWith(options.ContinuingPrefix, StringComparison.Ordinal)
                ? right[options.ContinuingPrefix.Length..]
                : right;
            ranks[(IdOf(left), IdOf(right))] = (rank++, IdOf(left + tail));
        }

        if (options.UnknownToken is { } unknown)
        {
            IdOf(unknown);
        }

        return new BpeModel(vocabulary, ranks, options);
    }

    // A folder of the original CLIP layout: vocabulary and merges in files of their own, the rest by convention.
    private static (string File, TokenizerParts Parts) ReadClip(string folder, Companions companions)
    {
        string vocabularyFile = Path.Combine(folder, "vocab.json");
        string mergesFile = Path.Combine(folder, "merges.txt");
        JsonField root = JsonField.Read(vocabularyFile, JsonFile.VocabularyBytes);
        Dictionary<string, int> vocabulary = ReadVocabulary(root);
        string begin = companions.BosToken ?? "<|startoftext|>";
        string end = companions.EosToken ?? "<|endoftext|>";
        var options = new BpeModel.Options(companions.UnkToken ?? end, "", "</w>", false, false, false);
        BpeModel model = MakeBpe(vocabulary, ReadMerges(mergesFile), options, problem => new ModelFormatException(mergesFile, problem));
        int beginId = model.Find(begin) ?? throw root.Error($"the token '{begin}' is missing");
        int endId = model.Find(end) ?? throw root.Error($"the token '{end}' is missing");

        var spaces = new TextPattern(@"\s+");
        var words = new TextPattern(@"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+");
        List<Func<string, TextBudget, string>> normalizers =
        [
            (t, _) => UnicodeNormalization.Normalize(t, NormalForm.Nfc),
            (t, budget) => spaces.Replace(t, " ", budget),
        ];
        if (companions.Lowercase)
        {
            normalizers.Add((t, _) => Lowercase(t));
        }

        return (vocabularyFile, new TokenizerParts
        {
            AddedTokens = [new(beginId, begin, false, false, false, false), new(endId, end, false, false, false, false)],
            Normalizers = normalizers,
            PreTokenizers = [new SplitPreTokenizer(words, SplitBehavior.Removed, invert: true), new ByteLevelPreTokenizer(false, true)],
            Model = model,
            Before = [beginId],
            After = [endId],
        });
    }

    private static IEnumerable<(string Left, string Right)> ReadMerges(string file)
    {
        byte[] text = InputFile.ReadAll(file, JsonFile.VocabularyBytes, "a list of merges");
        string[] lines = Encoding.UTF8.GetString(text).TrimStart('\uFEFF').ReplaceLineEndings("\n").Split('\n');
        if (lines.Length > TokenizerParts.MostMerges)
        {
            throw new ModelFormatException(file, $"it has {lines.Length} lines, {TokenizerParts.MostMerges} are the most");
        }

        for (int i = 0; i < lines.Length; i++)
        {
            if (lines[i].StartsWith("#version", StringComparison.Ordinal) || lines[i].Length == 0)
            {
                continue;
            }

            string[] parts = lines[i].Split(' ');
            yield return parts.Length == 2
                ? (parts[0], parts[1])
                : throw new ModelFormatException(file, $"line {i + 1}: a merge should name two tokens");
        }
    }
}
