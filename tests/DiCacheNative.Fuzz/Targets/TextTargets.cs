using System.Text;
using System.Text.Json;
using DiCacheNative.Caching;
using DiCacheNative.Text;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>tokenizer.json with random parts, and the files beside it; then a few texts.</summary>
internal sealed class TokenizerTarget() : Target("tokenizer", 130, typeof(ArgumentOutOfRangeException))
{
    private static readonly string[] s_texts =
    [
        "", " ", "a red circle", "a \U0001F3FBb \U0001F600\U0001F601", "e\u0301\u0302 \u00e4\u00f6 \uFB01 \u0130", "\u3042\u3044x\u4e16\u754c",
            "a<s>b</s> <unk>c", "1234 it's  we're\n\ttab", "\ud800 lone \udc00",
    ];

    private static readonly string[] s_patterns =
    [
        @"\s+", @"\p{L}+|\p{N}+", "[\\u3040-\\u309f]+", "[\U0001F300-\U0001F64F]+", "[^a-c\U0001F600]", " ?[^\\s\\p{L}]+", "(?i:'s|'t)|a", "", ".", "(?=a)",
            "a*", "^", "$", "\\b", "[\\ud800-\\udfff]", "(", "[a", "\\",
        "\\x{1F600}", "[\\u0000-\\uffff]", "(?<n>a)\\k<n>", "\\p{Han}", "a{2147483647}", "(a{1000}){1000}", "[a-\U0010FFFF]+",
        "[\U00010000-\U0010FFFF\u2000-\uFFFF]", "x|(?!)",
    ];

    public override void Run(Random random, string folder)
    {
        string[] steps(int most, Func<Random, string> one) => [.. Enumerable.Range(0, random.Next(most + 1)).Select(_ => one(random))];
        string[] normalizers = steps(random.Next(30) == 0 ? 20 : 3, Normalizer), preTokenizers = steps(random.Next(30) == 0 ? 20 : 2, PreTokenizer);
        string template = $$"""
            {
              "truncation": {{(random.Next(4) == 0 ? """{"direction": "Right", "max_length": 8, "strategy": "LongestFirst"}""" : "null")}},
              "padding": {{(random.Next(4) == 0 ? """{"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_token": "<pad>"}""" : "null")}},
              "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": true, "normalized": false, "special": true}, {"id": 1, "content": "</s>", "special": true}],
              "normalizer": {{List("normalizers", normalizers)}}, "pre_tokenizer": {{List("pretokenizers", preTokenizers)}},
              "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0} }, {"Sequence": {"id": "A", "type_id": 0} }],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]} } },
              "model": {{(random.Next(2) == 0 ? Bpe : Unigram)}}
            }
            """;
        Write(folder, "tokenizer.json", random.Next(2) == 0 ? Encoding.UTF8.GetBytes(template) : Mutation.Json(random, template));
        if (random.Next(4) == 0)
        {
            Write(folder, "tokenizer_config.json", Mutation.Json(random, """{"model_max_length": 77, "pad_token": "<s>", "bos_token": {"content": "<s>"}, "do_lower_case": true}"""));
        }

        Tokenizer tokenizer = Tokenizer.Load(folder);
        string text = s_texts[random.Next(s_texts.Length)] + s_texts[random.Next(s_texts.Length)];
        tokenizer.Encode(random.Next(4) == 0 ? string.Concat(Enumerable.Repeat(text, random.Next(100))) : text, random.Next(3) == 0 ? 16 : null);
    }

    private const string Bpe = """
        {"type": "BPE", "dropout": null, "unk_token": "?", "continuing_subword_prefix": "", "end_of_word_suffix": "</w>", "fuse_unk": true, "byte_fallback": false, "ignore_merges": false,
         "vocab": {"<s>": 0, "</s>": 1, "?": 2, "a": 3, "b": 4, "a</w>": 5, "b</w>": 6, "ab</w>": 7, "r": 8, "e": 9, "re": 10, "aa": 11}, "merges": ["a b</w>", ["r", "e"], "a a"]}
        """;

    private const string Unigram = """
        {"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [["<s>", 0], ["</s>", 0], ["<unk>", 0], ["\u2581", -2], ["a", -1.5], ["\u2581red", -3.0], ["circle", -4], ["c", -3]]}
        """;

    private static string List(string name, string[] steps) =>
        steps.Length == 0 ? "null" : steps.Length == 1 ? steps[0] : $$"""{"type": "Sequence", "{{name}}": [{{string.Join(", ", steps)}}]}""";

    // Expressions that need exponential time are slow by design, so they are rare.
    private static string Pattern(Random random) => random.Next(4000) == 0 ? "^(a+)+b$|^(\\w+\\s?)+x$"
        : s_patterns[random.Next(random.Next(3) == 0 ? s_patterns.Length : SoundPatterns)];

    private const int SoundPatterns = 12;

    private static string Normalizer(Random random) => random.Next(9) switch
    {
        0 => """{"type": "NFC"}""",
        1 => """{"type": "NFKD"}""",
        2 => """{"type": "Lowercase"}""",
        3 => """{"type": "Strip", "strip_left": true, "strip_right": true}""",
        4 => $$"""{"type": "Prepend", "prepend": {{JsonSerializer.Serialize(Mutation.Text(random))}}}""",
        5 => $$"""{"type": "Replace", "pattern": {"String": "a"}, "content": {{JsonSerializer.Serialize(random.Next(2) == 0 ? "aa" : Mutation.Text(random))}}}""",
        6 => $$"""{"type": "Replace", "pattern": {"Regex": {{JsonSerializer.Serialize(Pattern(random))}}}, "content": "-"}""",
        7 => $$"""{"type": "Precompiled", "precompiled_charsmap": "{{Convert.ToBase64String(CharsMap(random))}}"}""",
        _ => """{"type": "NFKC"}""",
    };

    private static string PreTokenizer(Random random) => random.Next(5) switch
    {
        0 => """{"type": "WhitespaceSplit"}""",
        1 => $$"""{"type": "ByteLevel", "add_prefix_space": {{(random.Next(2) == 0 ? "true" : "false")}}, "use_regex": {{(random.Next(2) == 0 ? "true" : "false")}}}""",
        2 => """{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true}""",
        _ => $$"""{"type": "Split", "pattern": {"Regex": {{JsonSerializer.Serialize(Pattern(random))}}}, "behavior": "{{s_behaviors[random.Next(s_behaviors.Length)]}}", "invert": {{(random.Next(3) == 0 ? "true" : "false")}}}""",
    };

    private static readonly string[] s_behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

    // A trie of random units: its size is right, its offsets are not.
    private static byte[] CharsMap(Random random)
    {
        byte[] units = new byte[4 * random.Next(1, 400)];
        random.NextBytes(units);
        return [.. BitConverter.GetBytes(random.Next(20) == 0 ? random.Next() : units.Length), .. units, .. "ab\0c\0"u8];
    }
}

/// <summary>A folder of the original CLIP layout: vocab.json and merges.txt.</summary>
internal sealed class ClipTarget() : Target("clip", 30, typeof(ArgumentOutOfRangeException))
{
    private static readonly byte[] s_merges = "#version: 0.2\na b</w>\nr e\n\nre d</w>\n"u8.ToArray();

    public override void Run(Random random, string folder)
    {
        Write(folder, "vocab.json", Mutation.Json(
            random,
            """{"a": 0, "b": 1, "a</w>": 2, "b</w>": 3, "ab</w>": 4, "r": 5, "e": 6, "re": 7, "d</w>": 8, "red</w>": 9, "<|startoftext|>": 10, "<|endoftext|>": 11}"""));
        Write(folder, "merges.txt", random.Next(2) == 0 ? s_merges : Mutation.Damage(random, s_merges));
        Tokenizer tokenizer = Tokenizer.Load(folder);
        tokenizer.Encode("a red ab's circle \u00e4\U0001F600 <|endoftext|>");
        tokenizer.Encode("a red", 4);
    }
}

/// <summary>Recorded cache decisions, and a replay of them.</summary>
internal sealed class TraceTarget() : Target("trace", 80, typeof(ArgumentException))
{
    public override void Run(Random random, string folder)
    {
        using MemoryStream lines = new();
        int changed = random.Next(12);
        for (int step = 0; step < 8; step++)
        {
            string row = $$"""
                {"step":{{step}},"branch":0,"sample":-1,"sigma":0.5,"delta_x":"NaN","delta_y":0.1,"error":0.1,"accumulated":0.2,"decision":"{{(step % 2 == 0 ? "full" : "skip")}}","gamma_raw":1.5,"gamma":1.2,"us":12.5}
                """;
            lines.Write(step == changed ? Mutation.Json(random, row) : Encoding.UTF8.GetBytes(row));
            lines.WriteByte((byte)'\n');
        }

        Write(folder, "t.jsonl", random.Next(8) == 0 ? Mutation.Damage(random, lines.ToArray()) : lines.ToArray());
        ReplayPolicy policy = new(CacheTrace.Read(Path.Combine(folder, "t.jsonl")));
        for (int step = 0; step < 8; step++)
        {
            policy.Plan(new StepInfo(step, 8, 0, 0, -1, 0.5f), default);
        }
    }
}
