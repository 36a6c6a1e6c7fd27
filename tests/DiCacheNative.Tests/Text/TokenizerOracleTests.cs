using System.Text;
using System.Text.Json;
using DiCacheNative.Text;
using Reference = Tokenizers.DotNet.Tokenizer;

namespace DiCacheNative.Tests.Text;

/// <summary>Our tokenizers against Hugging Face's library, over a fixed list of texts and seeded random ones.</summary>
public class TokenizerOracleTests
{
    private const int RandomTexts = 1500;

    // What the random texts are made of, in runs: scripts with and without spaces, marks, joiners, and characters outside the basic plane.
    private static readonly (int First, int Last)[] s_characters =
    [
        (0x20, 0x7E), (0x20, 0x7E), ('a', 'z'), ('a', 'z'), ('A', 'Z'), ('0', '9'), (' ', ' '), (' ', ' '), ('\n', '\n'), ('\t', '\t'), (0xA0, 0xFF),
            (0x100, 0x17F),
        (0x300, 0x33F), (0x391, 0x3A1), (0x3B1, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x627, 0x64A), (0x915, 0x939), (0xE01, 0xE2E), (0x1E00, 0x1EFF),
        (0x2010, 0x2027), (0x200B, 0x200D), (0x2460, 0x2473), (0x2581, 0x2581), (0x3000, 0x3002), (0x3041, 0x3096), (0x309B, 0x309C), (0x30A1, 0x30FA),
        (0x4E00, 0x4FFF), (0xAC00, 0xAFFF), (0xE000, 0xE010), (0xFF01, 0xFF5E), (0xFFFD, 0xFFFD), (0x1D400, 0x1D433), (0x1F300, 0x1F5FF), (0x1F3FB, 0x1F3FF),
        (0x1F600, 0x1F64F), (0x20000, 0x20100), (0x10400, 0x1044F),
    ];

    private static readonly string[] s_texts =
    [
        "", " ", "a", "A red circle left of a blue square.", "it's we're I'll don't they'd", "  two  spaces  ", "tab\tand\nline\r\nend\n", "1234567890 12 3.5",
            "x=1;y=2",
        "Zu\u0308rich z\u00FCrich \u212Bngstr\u00F6m", "\uFB01ne \u2460\u2461 \uFF21\uFF22\uFF23", "\u3053\u3093\u306B\u3061\u306F\u4E16\u754C",
        "\uC548\uB155\uD558\uC138\uC694",
        "\U0001F44D\U0001F3FD thumbs", "a \U0001F3FBb", "\u3042\u3044x", "\U0001F3FD", "\U0001D400\U0001D401 math", "<|endoftext|> inside",
        "</s> and <unk> and <pad>",
        "a<|startoftext|>b", "\u2581under\u2581score", "\u0130stanbul \u1E9E\u00DF", "e\u0301\u0302\u0303", "\u200Bzero\u200Dwidth\uFEFF",
        "line\u2028sep\u00A0nbsp\u3000wide",
    ];

    public static TheoryData<string> Files => ["models/shapes-flux/tokenizer", "models/shapes-flux/tokenizer_2", "models/shapes-wan/tokenizer"];

    public static TheoryData<string, string> PreTokenizers => new()
    {
        { "kana", Split(@"[\u3040-\u309f]+") },
        { "not kana", Split(@"[^\u3040-\u309f]+") },
        { "one emoji", Split("\U0001F3FD") },
        { "emoji", Split("[\U0001F300-\U0001F5FF]+") },
        { "all but emoji", Split("[^\U0001F300-\U0001F5FF\\s]+") },
        { "from the basic plane to beyond", Split("[\u4E00-\U00020080]+") },
        { "letters and one that is none", Split("[\\p{L}\U0001F600\uFFFD]+") },
        { "a choice", Split("\U0001F600|\U0001F601+|\U0001D400[\U0001D401-\U0001D410a-c]") },
        { "words of GPT-2", Split(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+") },
        {
            "words of Llama 3",
            Split(@"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
        },
        { "words of DeepSeek", Split("[\u4E00-\u9FA5\u3040-\u309F\u30A0-\u30FF]+") },
    };

    [Theory]
    [MemberData(nameof(Files))]
    public void The_embedded_tokenizers_give_the_ids_of_the_reference(string folder)
    {
        string path = Repository.File([.. folder.Split('/'), "tokenizer.json"]);
        Compare(path, Tokenizer.Load(path));
    }

    [Theory]
    [MemberData(nameof(PreTokenizers))]
    public void A_splitting_pattern_matches_what_it_matches_in_the_reference(string name, string preTokenizer)
    {
        _ = name;
        using TemporaryFolder folder = new();
        string path = folder.File("tokenizer.json");

        // Every piece is one unknown token: the ids tell where the text was cut. Some characters are known, to keep the places apart.
        File.WriteAllText(path, $$"""
            {
              "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": {{preTokenizer}},
              "post_processor": null, "decoder": null,
              "model": {
                "type": "BPE", "dropout": null, "unk_token": "?", "continuing_subword_prefix": null, "end_of_word_suffix": "|", "fuse_unk": true, "byte_fallback": false,
                "ignore_merges": false, "vocab": {"?": 0, "a": 1, "a|": 2, "b": 3, "b|": 4, " ": 5, " |": 6, "\ud83d\ude00": 7, "\ud83d\ude00|": 8, "\u4e00|": 9}, "merges": []
              }
            }
            """);
        Compare(path, Tokenizer.Load(path));
    }

    [Theory]
    [InlineData("""{"type": "NFC"}""")]
    [InlineData("""{"type": "NFKD"}""")]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}]}""")]
    [InlineData("""{"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}""")]
    [InlineData("""{"type": "Replace", "pattern": {"String": "\ud83d\ude00"}, "content": "smile"}""")]
    [InlineData("""{"type": "Replace", "pattern": {"Regex": "[\ud83d\ude00-\ud83d\ude4f]|\\s+"}, "content": "-"}""")]
    [InlineData("""{"type": "Strip", "strip_left": true, "strip_right": true}""")]
    public void A_normalizer_changes_what_it_changes_in_the_reference(string normalizer)
    {
        using TemporaryFolder folder = new();
        string path = folder.File("tokenizer.json");
        string bytes = string.Join(",", Enumerable.Range(0, 256).Select(b => $"[\"<0x{b:X2}>\", -10.0]"));
        File.WriteAllText(path, $$"""
            {
              "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": {{normalizer}}, "pre_tokenizer": null, "post_processor": null, "decoder": null,
              "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0.0], {{bytes}}, ["a", -1.0], ["smile", -2.0]]}
            }
            """);
        Compare(path, Tokenizer.Load(path));
    }

    private static string Split(string pattern) =>
        $$"""{"type": "Split", "pattern": {"Regex": {{JsonSerializer.Serialize(pattern)}}}, "behavior": "Isolated", "invert": false}""";

    private static void Compare(string path, Tokenizer ours)
    {
        Reference reference;
        try
        {
            reference = new Reference(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException or TypeInitializationException)
        {
            Assert.Skip($"the reference library has no native part for this platform ({e.Message})");
            return;
        }

        using (reference)
        {
            Random random = new(7);
            foreach (string text in s_texts.Concat(Enumerable.Range(0, RandomTexts).Select(_ => RandomText(random))))
            {
                int[] expected = [.. reference.Encode(text).Select(id => (int)id)];
                int[] actual = ours.Encode(text).Ids;
                Assert.True(expected.AsSpan().SequenceEqual(actual),
                    $"{JsonSerializer.Serialize(text)}: {string.Join(" ", expected)} expected, {string.Join(" ", actual)} given");
            }
        }
    }

    private static string RandomText(Random random)
    {
        StringBuilder text = new();
        for (int runs = random.Next(1, 9); runs > 0; runs--)
        {
            (int first, int last) = s_characters[random.Next(s_characters.Length)];
            for (int count = random.Next(1, 5); count > 0; count--)
            {
                text.Append(char.ConvertFromUtf32(random.Next(first, last + 1)));
            }
        }

        return text.ToString();
    }
}
