using System.Text;
using System.Text.Json;
using DiCacheNative.Json;

namespace DiCacheNative.Text;

/// <summary>Reads tokenizer.json and the files beside it. Whatever it does not know is an error, never left out.</summary>
internal static partial class TokenizerReader
{
    public static Tokenizer Read(string path)
    {
        bool isFolder = Directory.Exists(path);
        string folder = isFolder ? path : Path.GetDirectoryName(Path.GetFullPath(path)) ?? "";
        string file = isFolder ? Path.Combine(path, "tokenizer.json") : path;
        Companions companions = Companions.Read(folder);
        TokenizerParts parts;
        if (File.Exists(file) || !isFolder)
        {
            parts = ReadParts(JsonField.Read(file, JsonFile.VocabularyBytes));
        }
        else if (File.Exists(Path.Combine(folder, "vocab.json")) && File.Exists(Path.Combine(folder, "merges.txt")))
        {
            (file, parts) = ReadClip(folder, companions);
        }
        else
        {
            string hint = File.Exists(Path.Combine(folder, "spiece.model"))
                ? "; a spiece.model alone cannot be read: save the tokenizer with the transformers library, which writes tokenizer.json"
                : "";
            throw new ModelFormatException(path, $"the folder holds neither tokenizer.json nor vocab.json and merges.txt{hint}");
        }

        int? padId = parts.PadId ?? (companions.PadToken is { } pad ? FindId(parts, pad) : null);
        return new Tokenizer(file, parts with { PadId = padId, ModelMaxLength = companions.ModelMaxLength });
    }

    private static int? FindId(TokenizerParts parts, string token) =>
        parts.AddedTokens.FirstOrDefault(t => t.Content == token)?.Id ?? parts.Model.Find(token);

    private static TokenizerParts ReadParts(JsonField root)
    {
        ITokenModel model = ReadModel(root.Get("model"));
        List<AddedToken> added = [.. Limited(root.Find("added_tokens"), TokenizerParts.MostAddedTokens).Select(ReadAddedToken)];
        (int[] before, int[] after) = root.Find("post_processor") is { } processor ? ReadPostProcessor(processor) : ([], []);
        var parts = new TokenizerParts
        {
            AddedTokens = added,
            Normalizers = root.Find("normalizer") is { } normalizer ? Steps(normalizer, ReadNormalizers) : [],
            PreTokenizers = root.Find("pre_tokenizer") is { } preTokenizer ? Steps(preTokenizer, ReadPreTokenizers) : [],
            Model = model,
            Before = before,
            After = after,
        };
        if (Math.Max(before.Length, after.Length) > TokenizerParts.MostSpecial)
        {
            throw root.Error($"post_processor: it adds {before.Length + after.Length} tokens to every text");
        }

        if (root.Find("truncation") is { } truncation)
        {
            int limit = truncation.Get("max_length").Integer(0, int.MaxValue);
            if (limit < before.Length + after.Length)
            {
                throw truncation.Error($"{limit} tokens leave no room for the {before.Length + after.Length} special ones");
            }

            if (truncation.Find("strategy")?.Text() == "OnlySecond")
            {
                throw truncation.Error("the strategy 'OnlySecond' is for pairs of texts, which are not supported");
            }

            parts = parts with { TruncateTo = limit, TruncateLeft = IsLeft(truncation) };
        }

        if (root.Find("padding") is { } padding)
        {
            parts = parts with
            {
                PadTo = ReadPaddedLength(padding.Get("strategy")),
                PadLeft = IsLeft(padding),
                PadId = padding.Get("pad_id").Integer(0, int.MaxValue),
                PadToMultipleOf = padding.Find("pad_to_multiple_of")?.Integer(1, TokenizerParts.LongestText) ?? 1,
            };
        }

        return parts;
    }

    private static IEnumerable<JsonField> Limited(JsonField? list, int most) => list is not { } field ? []
        : field.Value.ValueKind != JsonValueKind.Array || field.Value.GetArrayLength() <= most ? field.Items()
        : throw field.Error($"it has {field.Value.GetArrayLength()} entries, {most} are the most");

    private static List<T> Steps<T>(JsonField section, Func<JsonField, IEnumerable<T>> read)
    {
        List<T> steps = [.. read(section).Take(TokenizerParts.MostSteps + 1)];
        return steps.Count <= TokenizerParts.MostSteps ? steps : throw section.Error($"it has more than {TokenizerParts.MostSteps} steps");
    }

    private static int? ReadPaddedLength(JsonField strategy) => JsonField.TryText(strategy.Value) == "BatchLongest"
        ? null
        : strategy.Get("Fixed").Integer(0, TokenizerParts.LongestText);

    private static bool IsLeft(JsonField section) => section.Find("direction")?.Text() switch
    {
        null or "Right" => false,
        "Left" => true,
        string other => throw section.Error($"the direction '{other}' is not known"),
    };

    private static AddedToken ReadAddedToken(JsonField token)
    {
        string content = token.Get("content").Text();
        if (content.Length is 0 or > TokenizerParts.LongestToken)
        {
            throw token.Error(content.Length == 0 ? "an added token is empty"
                : $"an added token has {content.Length} characters, {TokenizerParts.LongestToken} are the most");
        }

        bool isSpecial = token.Find("special")?.Flag() ?? false;
        return new AddedToken(
            token.Get("id").Integer(0, int.MaxValue - 1),
            content,
            token.Find("single_word")?.Flag() ?? false,
            token.Find("lstrip")?.Flag() ?? false,
            token.Find("rstrip")?.Flag() ?? false,
            token.Find("normalized")?.Flag() ?? !isSpecial);
    }

    private static IEnumerable<Func<string, TextBudget, string>> ReadNormalizers(JsonField normalizer)
    {
        string type = normalizer.Get("type").Text();
        switch (type)
        {
            case "Sequence":
                return normalizer.Get("normalizers").Items().SelectMany(ReadNormalizers);
            case "NFC":
                return [(t, _) => UnicodeNormalization.Normalize(t, NormalForm.Nfc)];
            case "NFD":
                return [(t, _) => UnicodeNormalization.Normalize(t, NormalForm.Nfd)];
            case "NFKC":
                return [(t, _) => UnicodeNormalization.Normalize(t, NormalForm.Nfkc)];
            case "NFKD":
                return [(t, _) => UnicodeNormalization.Normalize(t, NormalForm.Nfkd)];
            case "Lowercase":
                return [(t, _) => Lowercase(t)];
            case "Prepend":
                string prefix = normalizer.Get("prepend").Text();
                return [(t, _) => t.Length == 0 ? t : prefix + t];
            case "Replace":
                TextPattern pattern = ReadPattern(normalizer.Get("pattern"));
                string content = normalizer.Get("content").Text();
                return [(t, budget) => pattern.Replace(t, content, budget)];
            case "Strip":
                bool left = normalizer.Find("strip_left")?.Flag() ?? true;
                bool right = normalizer.Find("strip_right")?.Flag() ?? true;
                return [(t, _) => left && right ? t.Trim() : left ? t.TrimStart() : right ? t.TrimEnd() : t];
            case "Precompiled":
                return [new PrecompiledCharsMap(normalizer.Get("precompiled_charsmap")).Normalize];
            default:
                throw normalizer.Error($"the normalizer '{type}' is not supported");
        }
    }

    // Character by character, without regard to neighbours. U+0130 is the one character whose lower case is two.
    private static string Lowercase(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.Value == 0x130)
            {
                result.Append("i\u0307");
            }
            else
            {
                result.Append(Rune.ToLowerInvariant(rune));
            }
        }

        return result.ToString();
    }

    private static TextPattern ReadPattern(JsonField pattern)
    {
        if (pattern.Find("String") is { } text)
        {
            string literal = text.Text();
            return literal.Length <= TokenizerParts.LongestToken
                ? TextPattern.Literal(literal)
                : throw text.Error($"it has {literal.Length} characters, {TokenizerParts.LongestToken} are the most");
        }

        JsonField regex = pattern.Get("Regex");
        try
        {
            return new TextPattern(regex.Text());
        }
        catch (Exception e) when (e is ArgumentException or InsufficientExecutionStackException)
        {
            throw regex.Error($"the pattern cannot be used: {e.Message}");
        }
    }

    private static IEnumerable<IPreTokenizer> ReadPreTokenizers(JsonField preTokenizer)
    {
        string type = preTokenizer.Get("type").Text();
        switch (type)
        {
            case "Sequence":
                return preTokenizer.Get("pretokenizers").Items().SelectMany(ReadPreTokenizers);
            case "Split":
                string behavior = preTokenizer.Get("behavior").Text();
                return Enum.TryParse(behavior, out SplitBehavior known) && Enum.GetName(known) == behavior
                    ? [new SplitPreTokenizer(ReadPattern(preTokenizer.Get("pattern")), known, preTokenizer.Find("invert")?.Flag() ?? false)]
                    : throw preTokenizer.Error($"the behavior '{behavior}' is not known");
            case "WhitespaceSplit":
                return [SplitPreTokenizer.AtWhitespace()];
            case "ByteLevel":
                return [new ByteLevelPreTokenizer(
                    preTokenizer.Find("add_prefix_space")?.Flag() ?? true, preTokenizer.Find("use_regex")?.Flag() ?? true)];
            case "Metaspace":
                return [ReadMetaspace(preTokenizer)];
            default:
                throw preTokenizer.Error($"the pre-tokenizer '{type}' is not supported");
        }
    }

    private static MetaspacePreTokenizer ReadMetaspace(JsonField metaspace)
    {
        string marker = metaspace.Get("replacement").Text();
        if (marker.Length != 1)
        {
            throw metaspace.Error($"the replacement '{marker}' should be one character");
        }

        bool addPrefix = metaspace.Find("add_prefix_space")?.Flag() ?? true;
        PrependScheme scheme = metaspace.Find("prepend_scheme")?.Text() switch
        {
            null => addPrefix ? PrependScheme.Always : PrependScheme.Never,
            "always" when addPrefix => PrependScheme.Always,
            "first" when addPrefix => PrependScheme.First,
            "never" => PrependScheme.Never,
            string other => throw metaspace.Error($"the prepend_scheme '{other}' is not known or contradicts add_prefix_space"),
        };
        return new MetaspacePreTokenizer(marker[0], scheme, metaspace.Find("split")?.Flag() ?? true);
    }

    private static (int[] Before, int[] After) ReadPostProcessor(JsonField processor)
    {
        string type = processor.Get("type").Text();
        switch (type)
        {
            case "Sequence":
                // Each wraps what the ones before it made.
                return Limited(processor.Get("processors"), TokenizerParts.MostSteps).Select(ReadPostProcessor).Aggregate(
                    (Before: Array.Empty<int>(), After: Array.Empty<int>()),
                    (inner, outer) => ([.. outer.Before, .. inner.Before], [.. inner.After, .. outer.After]));
            case "ByteLevel":
                return ([], []);
            case "RobertaProcessing" or "BertProcessing":
                return ([ReadTokenPair(processor.Get("cls"))], [ReadTokenPair(processor.Get("sep"))]);
            case "TemplateProcessing":
                return ReadTemplate(processor);
            default:
                throw processor.Error($"the post-processor '{type}' is not supported");
        }
    }

    private static int ReadTokenPair(JsonField pair)
    {
        JsonField[] items = [.. pair.Items()];
        return items.Length == 2 ? items[1].Integer(0, int.MaxValue - 1) : throw pair.Error("a token and its id were expected");
    }

    private static (int[] Before, int[] After) ReadTemplate(JsonField processor)
    {
        List<int> before = [];
        List<int> after = [];
        bool seen = false;
        JsonField single = processor.Get("single");
        foreach (JsonField item in Limited(single, TokenizerParts.MostSpecial))
        {
            if (item.Find("Sequence") is { } sequence)
            {
                if (seen || sequence.Get("id").Text() != "A")
                {
                    throw single.Error("the text should stand in it once, as 'A'");
                }

                seen = true;
                continue;
            }

            JsonField ids = processor.Get("special_tokens").Get(item.Get("SpecialToken").Get("id").Text()).Get("ids");
            (seen ? after : before).AddRange(Limited(ids, TokenizerParts.MostSpecial).Select(i => i.Integer(0, int.MaxValue - 1)));
        }

        return seen ? ([.. before], [.. after]) : throw single.Error("the text does not stand in it");
    }

    /// <summary>What the files beside tokenizer.json say.</summary>
    private sealed record Companions(string? PadToken, string? BosToken, string? EosToken, string? UnkToken, bool Lowercase, int? ModelMaxLength)
    {
        public static Companions Read(string folder)
        {
            JsonField? config = ReadIfThere(folder, "tokenizer_config.json");
            JsonField? special = ReadIfThere(folder, "special_tokens_map.json");
            string? Token(string name) => TokenText(config?.Find(name)) ?? TokenText(special?.Find(name));

            // Files without a limit say 1e30.
            int? limit = config?.Find("model_max_length")?.Value is { ValueKind: JsonValueKind.Number } number
                && number.TryGetInt32(out int length) && length is > 0 and <= TokenizerParts.LongestText ? length : null;
            return new Companions(
                Token("pad_token"), Token("bos_token"), Token("eos_token"), Token("unk_token"), config?.Find("do_lower_case")?.Flag() ?? true, limit);
        }

        private static JsonField? ReadIfThere(string folder, string name)
        {
            string file = Path.Combine(folder, name);
            return File.Exists(file) ? JsonField.Read(file, JsonFile.ConfigBytes) : null;
        }

        // A token is written as its text or as an object with its properties.
        private static string? TokenText(JsonField? token) => token is not { } field ? null
            : field.Value.ValueKind == JsonValueKind.Object ? field.Get("content").Text() : field.Text();
    }
}
