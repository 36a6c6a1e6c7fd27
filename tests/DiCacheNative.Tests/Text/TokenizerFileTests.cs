using System.Text.Json.Nodes;
using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

/// <summary>Files that are missing, broken, hostile, or ask for what is not there.</summary>
public class TokenizerFileTests
{
    private const string Model = """ "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []} """;

    [Theory]
    [InlineData("{" + Model + """, "normalizer": {"type": "BertNormalizer"}}""", "normalizer: the normalizer 'BertNormalizer' is not supported")]
    [InlineData("{" + Model + """, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Nmt"}]}}""", "normalizer.normalizers[1]: the normalizer 'Nmt'")]
    [InlineData("{" + Model + """, "pre_tokenizer": {"type": "Digits"}}""", "the pre-tokenizer 'Digits' is not supported")]
    [InlineData("{" + Model + """, "post_processor": {"type": "Funny"}}""", "the post-processor 'Funny' is not supported")]
    [InlineData("""{"model": {"type": "WordPiece", "vocab": {}}}""", "model: the model 'WordPiece' is not supported")]
    [InlineData("""{}""", "'model' is missing")]
    [InlineData("""[]""", "not a JSON object")]
    [InlineData("""{"model": """, "not valid JSON")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}}""", "'b' is used but is not in the vocabulary")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}""", "'ab' is used but is not in the vocabulary")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}""", "model.merges[0]: a merge should name two tokens")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}""", "the id of 'a'")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "unk_token": "<unk>"}}""", "'<unk>' is used")]
    [InlineData("""{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}""", "dropout is for training")]
    [InlineData("""{"model": {"type": "Unigram", "vocab": [["a", -1]]}}""", "'unk_id' is missing")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 1, "vocab": [["a", -1]]}}""", "model.unk_id: a whole number from 0 to 0")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a"]]}}""", "model.vocab[0]: a token and its score")]
    [InlineData("""{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["\ud800", 0]]}}""", "not valid Unicode")]
    [InlineData("{" + Model + """, "normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}}""", "normalizer.pattern.Regex: the pattern cannot be used")]
    [InlineData("{" + Model + """, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}}""", "not base64")]
    [InlineData("{" + Model + """, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="}}""", "cannot hold a trie of 4294967295")]
    [InlineData("{" + Model + """, "pre_tokenizer": {"type": "Split", "pattern": {"String": "-"}, "behavior": "7"}}""", "the behavior '7' is not known")]
    [InlineData("{" + Model + """, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "add_prefix_space": false}}""", "contradicts")]
    [InlineData("{" + Model + """, "padding": {"strategy": {"Fixed": 2000000000}, "pad_id": 0}}""", "padding.strategy.Fixed: a whole number from 0 to 1048576")]
    [InlineData("{" + Model + """, "post_processor": {"type": "BertProcessing", "cls": ["a", 0], "sep": ["a", 0]}, "truncation": {"max_length": 1}}""", "1 tokens leave no room for the 2 special ones")]
    [InlineData("{" + Model + """, "post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}}""", "the text does not stand in it")]
    [InlineData("{" + Model + """, "added_tokens": [{"id": 0, "content": ""}]}""", "added_tokens[0]: an added token is empty")]
    public void A_file_that_cannot_be_served_is_told_with_its_place(string json, string told)
    {
        var e = Assert.Throws<ModelFormatException>(() => TokenizerFixture.Load(("tokenizer.json", json)));

        Assert.Contains("tokenizer.json: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(told, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_or_an_empty_folder_is_told()
    {
        Assert.Contains("there is no such file", Assert.Throws<ModelFormatException>(() => Tokenizer.Load("none/tokenizer.json")).Message,
            StringComparison.Ordinal);
        Assert.Contains("neither tokenizer.json nor vocab.json", Assert.Throws<ModelFormatException>(() => TokenizerFixture.Load()).Message,
            StringComparison.Ordinal);
        Assert.Contains("spiece.model alone", Assert.Throws<ModelFormatException>(() => TokenizerFixture.Load(("spiece.model", ""))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_broken_merges_file_is_told_with_its_line()
    {
        var e = Assert.Throws<ModelFormatException>(() => TokenizerFixture.Load(
            ("vocab.json", """{"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "b": 3, "ab": 4}"""), ("merges.txt", "#version: 0.2\na b\nab\n")));

        Assert.Contains("merges.txt: line 3", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_pattern_that_never_ends_is_stopped()
    {
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json",
            "{" + Model + """, "normalizer": {"type": "Replace", "pattern": {"Regex": "^(a+)+$"}, "content": ""}}"""));

        var e = Assert.Throws<ModelFormatException>(() => tokenizer.Encode(new string('a', 100) + "b"));

        Assert.Contains("takes too long", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Truncated_files_are_model_errors()
    {
        foreach (string name in new[] { "tokenizer", "tokenizer_2" })
        {
            string json = File.ReadAllText(Repository.File("models", "shapes-flux", name, "tokenizer.json"));
            for (int cut = 0; cut < json.TrimEnd().Length; cut += 509)
            {
                Assert.Throws<ModelFormatException>(() => TokenizerFixture.Load(("tokenizer.json", json[..cut])));
            }
        }
    }

    [Fact]
    public void Any_value_replaced_by_nonsense_is_a_model_error_or_harmless()
    {
        string map = TokenizerFixture.CharsMap(false, ("x", "y"));
        string[] files =
        [
            $$"""
            {"added_tokens": [{"id": 1, "content": "</s>", "special": true, "lstrip": true}],
             "truncation": {"direction": "Right", "max_length": 6, "strategy": "LongestFirst", "stride": 0},
             "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_token": "<pad>"},
             "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "{{map}}"},
                {"type": "Strip", "strip_left": true, "strip_right": true}, {"type": "Replace", "pattern": {"String": "."}, "content": "!"}]},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
                {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]},
             "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"} }, {"SpecialToken": {"id": "</s>"} }],
                "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]} } },
             "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁a", -1]]} }
            """,
            """
            {"normalizer": {"type": "NFC"},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": "\\p{L}+"}, "behavior": "Removed", "invert": true},
                {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]},
             "post_processor": {"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["a", 0]},
             "model": {"type": "BPE", "dropout": null, "unk_token": "a", "continuing_subword_prefix": "", "end_of_word_suffix": "",
                "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
            """,
        ];
        int tried = 0;
        foreach (string json in files)
        {
            Assert.NotEmpty(TokenizerFixture.Load(("tokenizer.json", json)).Encode("a x. </s> 😀").Ids);
            foreach (string path in Paths(JsonNode.Parse(json)!, ""))
            {
                foreach (string nonsense in new[] { "null", "0", "-1", "1e99", "true", "\"x\"", "\"\"", "[]", "{}", "[null]" })
                {
                    string changed = Replace(JsonNode.Parse(json)!, path, nonsense);
                    tried++;
                    try
                    {
                        TokenizerFixture.Load(("tokenizer.json", changed)).Encode("a x. </s> 😀");
                    }
                    catch (ModelFormatException)
                    {
                        // One sentence about the file is what a user should get; anything else fails the test.
                    }
                }
            }
        }

        Assert.True(tried > 700, $"{tried} changes were tried");
    }

    private static IEnumerable<string> Paths(JsonNode node, string path) => node switch
    {
        JsonObject o => o.SelectMany(p => new[] { $"{path}/{Escape(p.Key)}" }.Concat(p.Value is null ? [] : Paths(p.Value, $"{path}/{Escape(p.Key)}"))),
        JsonArray a => a.SelectMany((item, i) => new[] { $"{path}/{i}" }.Concat(item is null ? [] : Paths(item, $"{path}/{i}"))),
        _ => [],
    };

    private static string Replace(JsonNode root, string path, string value)
    {
        string[] steps = path[1..].Split('/');
        JsonNode parent = root;
        foreach (string step in steps[..^1])
        {
            parent = parent is JsonArray array ? array[int.Parse(step, System.Globalization.CultureInfo.InvariantCulture)]! : parent[Unescape(step)]!;
        }

        if (parent is JsonArray last)
        {
            last[int.Parse(steps[^1], System.Globalization.CultureInfo.InvariantCulture)] = JsonNode.Parse(value);
        }
        else
        {
            parent[Unescape(steps[^1])] = JsonNode.Parse(value);
        }

        return root.ToJsonString();
    }

    private static string Escape(string key) => key.Replace("/", "~1", StringComparison.Ordinal);

    private static string Unescape(string key) => key.Replace("~1", "/", StringComparison.Ordinal);
}
