using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

/// <summary>What the files of T5 and UMT5 use. Ids: &lt;pad&gt; 0, &lt;/s&gt; 1, &lt;unk&gt; 2, then the pieces of each test from 3.</summary>
public class UnigramTokenizerTests
{
    private const string Metaspace = """{"type": "Metaspace", "replacement": "▁", "add_prefix_space": true, "prepend_scheme": "always"}""";
    private const string T5 = $$"""{"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {{Metaspace}}]}""";

    [Fact]
    public void The_largest_sum_of_scores_wins()
    {
        // "▁abc": ▁ab + c = -7, ▁a + bc = -6.5, ▁ + abc = -6.6.
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", T5, [("▁ab", -3), ("c", -4), ("▁a", -3.5), ("bc", -3), ("▁", -2), ("abc", -4.6)]);

        Assert.Equal([5, 6, 1], tokenizer.Encode("abc").Ids);
    }

    [Fact]
    public void Unknown_characters_in_a_row_are_one_token()
    {
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", T5, [("▁", -2), ("a", -3)]);

        // ▁, three unknown (one of them outside the basic plane), a, one unknown; then a word of its own: ▁ and an unknown.
        Assert.Equal([3, 2, 4, 2, 3, 2, 1], tokenizer.Encode("x😀yaz q").Ids);
    }

    [Fact]
    public void A_known_character_is_never_unknown_even_when_it_costs_more()
    {
        // The unknown score is 10 below the worst piece: -30. "q" at -20 is better; the emoji is a piece of two UTF-16 units.
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", T5, [("▁", -2), ("q", -20), ("😀", -19)]);

        Assert.Equal([3, 4, 5, 1], tokenizer.Encode("q😀").Ids);
    }

    [Fact]
    public void Unknown_characters_become_bytes_when_the_vocabulary_has_them_all()
    {
        // é is C3 A9; ß is C3 9F, and 9F is missing.
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", """
            {"model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true,
             "vocab": [["<unk>", 0], ["a", -1], ["<0xC3>", -5], ["<0xA9>", -5]]}}
            """));

        Assert.Equal([1, 2, 3, 1], tokenizer.Encode("aéa").Ids);
        Assert.Equal([1, 0, 1], tokenizer.Encode("aßa").Ids);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_character_map_replaces_clusters_then_characters(bool wide)
    {
        string map = TokenizerFixture.CharsMap(
            wide, ("ﬁ", "fi"), ("\r\n", " "), ("\t", " "), ("\u200B", ""), ("e\u0301", "é"), ("Ａ", "A"), ("1", "one"), ("\u0301", "'"));
        Tokenizer tokenizer = TokenizerFixture.Unigram(
            $$"""{"type": "Precompiled", "precompiled_charsmap": "{{map}}"}""",
            T5, [("▁", -2), ("f", -3), ("i", -3), ("é", -3), ("A", -3), ("o", -3), ("n", -3), ("e", -3), ("'", -3), ("☺", -3), ("\u0301", -3)]);

        // The ligature is two letters, the full-width letter is plain, CR LF is one space.
        Assert.Equal([3, 4, 5, 3, 7, 1], tokenizer.Encode("ﬁ\r\nＡ").Ids);

        // e + acute is one cluster with a replacement of its own, and so is 1.
        Assert.Equal([3, 6, 8, 9, 10, 1], tokenizer.Encode("e\u03011").Ids);

        // "☺ + acute" is a cluster of five bytes without one: then character by character, and the acute has one.
        Assert.Equal([3, 12, 11, 1], tokenizer.Encode("☺\u0301").Ids);

        // The map of a cluster's beginning stands for all of it, as in the tokenizers library: the acute is lost.
        Assert.Equal([3, 7, 1], tokenizer.Encode("Ａ\u0301").Ids);

        // A zero-width space vanishes; the space after it is still a word break.
        Assert.Equal([3, 4, 3, 5, 1], tokenizer.Encode("f\u200B\ti").Ids);
    }

    [Fact]
    public void Umt5_keeps_runs_of_spaces_as_one_marker()
    {
        // Precompiled, then no space at the end, then two or more spaces are one marker; there is no WhitespaceSplit before Metaspace.
        string map = TokenizerFixture.CharsMap(false, ("\t", " "));
        Tokenizer tokenizer = TokenizerFixture.Unigram(
            $$"""
            {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "{{map}}"},
              {"type": "Strip", "strip_left": false, "strip_right": true}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}]}
            """,
            Metaspace, [("▁", -2), ("a", -3), ("b", -3), ("▁a", -4)]);

        // "  a \t b  " -> "▁a▁b": the leading marker is already there. ▁a (-4) beats ▁ + a (-5).
        Assert.Equal([6, 3, 5, 1], tokenizer.Encode("  a \t b  ").Ids);
        Assert.Equal([6, 1], tokenizer.Encode("a").Ids);
        Assert.Equal([1], tokenizer.Encode("").Ids);
    }

    [Theory]
    [InlineData("always", new[] { 3, 4, 100, 3, 4, 1 })]
    [InlineData("first", new[] { 3, 4, 100, 4, 1 })]
    [InlineData("never", new[] { 4, 100, 4, 1 })]
    public void The_prepend_scheme_says_which_pieces_get_a_marker(string scheme, int[] expected)
    {
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", $$"""
            {"added_tokens": [{"id": 100, "content": "<x>", "special": true}],
             "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "{{scheme}}"},
             "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"} }, {"SpecialToken": {"id": "e"} }],
                                "special_tokens": {"e": {"id": "e", "ids": [1], "tokens": ["e"]} } },
             "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["e", 0], ["-", -9], ["▁", -2], ["a", -3]]} }
            """));

        Assert.Equal(expected, tokenizer.Encode("a<x>a").Ids);
    }

    [Fact]
    public void Metaspace_without_splitting_lets_pieces_cross_words()
    {
        (string, double)[] pieces = [("▁", -2), ("a", -3), ("b", -3), ("a▁b", -1)];
        string crossing = """{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false}""";

        Assert.Equal([3, 6, 1], TokenizerFixture.Unigram("null", crossing, pieces).Encode("a b").Ids);
        Assert.Equal([3, 4, 3, 5, 1], TokenizerFixture.Unigram("null", Metaspace, pieces).Encode("a b").Ids);
    }

    [Fact]
    public void Added_tokens_are_found_in_the_text_with_their_rules()
    {
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", $$"""
            {"added_tokens": [
               {"id": 10, "content": "<extra_id_1>", "special": true}, {"id": 11, "content": "<extra_id_12>", "special": true},
               {"id": 12, "content": "<l>", "lstrip": true, "special": true}, {"id": 13, "content": "<r>", "rstrip": true, "special": true},
               {"id": 14, "content": "cat", "single_word": true, "normalized": false}, {"id": 15, "content": "DOG", "normalized": true}],
             "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {{Metaspace}},
             "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["▁", -2], ["a", -3], ["c", -3], ["t", -3], ["s", -3], ["▁a", -4]]} }
            """));

        // The longest name wins; special tokens are not lowercased away.
        Assert.Equal([10, 11, 6], tokenizer.Encode("<extra_id_1><extra_id_12>a").Ids);

        // White space goes with <l> on its left and with <r> on its right, and not on the other side ("▁" + "▁a" -> ▁ ▁a).
        Assert.Equal([6, 12, 6], tokenizer.Encode("a  <l> a").Ids);
        Assert.Equal([6, 1, 13, 6], tokenizer.Encode("a <r>  a").Ids);

        // A single word is found alone, not inside "cats".
        Assert.Equal([6, 1, 14], tokenizer.Encode("a cat").Ids);
        Assert.Equal([1, 3, 2, 4, 5], tokenizer.Encode("cats").Ids);

        // A normalized token is compared after lowercasing, on both sides.
        Assert.Equal([15, 15], tokenizer.Encode("dogDoG").Ids);
    }

    [Fact]
    public void Padding_and_cutting_follow_the_file_on_either_side()
    {
        string both = """
            "truncation": {"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
            "padding": {"strategy": {"Fixed": 5}, "direction": "Left", "pad_to_multiple_of": 4, "pad_id": 0, "pad_token": "<pad>"},
            """;
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", T5, [("▁a", -2), ("▁b", -2), ("▁c", -2)], both);

        // Cut to the last two words and </s>, padded to 5, rounded up to 8.
        TokenizedText text = tokenizer.Encode("a b c");
        Assert.Equal([0, 0, 0, 0, 0, 4, 5, 1], text.Ids);
        Assert.Equal([0, 0, 0, 0, 0, 1, 1, 1], text.AttentionMask);
        Assert.Equal(3, text.TokenCount);

        // A length of one's own replaces all of it but the sides.
        Assert.Equal([0, 3, 4, 5, 1], tokenizer.Encode("a b c", 5).Ids);
        Assert.Equal([5, 1], tokenizer.Encode("a b c", 2).Ids);
    }

    [Fact]
    public void The_padding_token_comes_from_the_configuration_when_tokenizer_json_names_none()
    {
        const string Json = """
            {"added_tokens": [{"id": 7, "content": "[P]", "special": true}],
             "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["a", -1]]}}
            """;
        Tokenizer fromConfig = TokenizerFixture.Load(
            ("tokenizer.json", Json), ("tokenizer_config.json", """{"pad_token": {"content": "[P]"}, "model_max_length": 77}"""));
        Tokenizer fromMap = TokenizerFixture.Load(
            ("tokenizer.json", Json), ("special_tokens_map.json", """{"pad_token": "a"}"""),
            ("tokenizer_config.json", """{"model_max_length": 1000000000000000019884624838656}"""));
        Tokenizer unnamed = TokenizerFixture.Load(("tokenizer.json", Json));

        Assert.Equal([1, 7, 7], fromConfig.Encode("a", 3).Ids);
        Assert.Equal(77, fromConfig.MaxLength);
        Assert.Equal([1, 1, 1], fromMap.Encode("a", 3).Ids);
        Assert.Null(fromMap.MaxLength);
        Assert.Equal([1], unnamed.Encode("a").Ids);
        Assert.Contains("no padding token", Assert.Throws<ModelFormatException>(() => unnamed.Encode("a", 3)).Message, StringComparison.Ordinal);
    }
}
