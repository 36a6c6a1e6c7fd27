using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

/// <summary>What CLIP's files use, on vocabularies small enough to follow by hand.</summary>
public class BpeTokenizerTests
{
    private const string Vocabulary = """{"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5, "?": 6}""";

    [Theory]
    [InlineData("""["a b", "b c", "ab c"]""")]
    [InlineData("""[["a", "b"], ["b", "c"], ["ab", "c"]]""")]
    public void Merges_are_read_in_both_forms_and_applied_by_rank(string merges)
    {
        Tokenizer tokenizer = Bpe(Vocabulary, merges);

        Assert.Equal([5], tokenizer.Encode("abc").Ids);
        Assert.Equal([3, 3], tokenizer.Encode("abab").Ids);
        Assert.Equal([4, 4, 0], tokenizer.Encode("bcbca").Ids);
    }

    [Fact]
    public void A_pair_learned_earlier_is_merged_first_wherever_it_stands()
    {
        // "b c" ranks before "a b": abc -> a bc, and "a bc" is no merge.
        Assert.Equal([0, 4], Bpe(Vocabulary, """["b c", "a b", "ab c"]""").Encode("abc").Ids);
    }

    [Fact]
    public void A_long_word_takes_no_quadratic_time()
    {
        Tokenizer tokenizer = Bpe("""{"a": 0, "aa": 1, "aaaa": 2}""", """["a a", "aa aa"]""");

        Assert.Equal(Enumerable.Repeat(2, 100_000), tokenizer.Encode(new string('a', 400_000)).Ids);
    }

    [Fact]
    public void The_suffix_marks_the_end_of_a_word()
    {
        Tokenizer tokenizer = Bpe("""{"a": 0, "b": 1, "b</w>": 2, "ab</w>": 3, "a</w>": 4}""", """["a b</w>"]""", "\"end_of_word_suffix\": \"</w>\",");

        Assert.Equal([3], tokenizer.Encode("ab").Ids);
        Assert.Equal([1, 4], tokenizer.Encode("ba").Ids);
    }

    [Fact]
    public void A_prefix_marks_what_continues_a_word()
    {
        Tokenizer tokenizer = Bpe("""{"a": 0, "##b": 1, "ab": 2, "##c": 3, "abc": 4}""", """["a ##b", "ab ##c"]""", "\"continuing_subword_prefix\": \"##\",");

        Assert.Equal([4], tokenizer.Encode("abc").Ids);
        Assert.Equal([0, 3], tokenizer.Encode("ac").Ids);
    }

    [Theory]
    [InlineData("", new[] { 0, 1 })]
    [InlineData("\"unk_token\": \"?\",", new[] { 0, 6, 6, 1, 6 })]
    [InlineData("\"unk_token\": \"?\", \"fuse_unk\": true,", new[] { 0, 6, 1, 6 })]
    public void Unknown_characters_are_left_out_named_or_fused(string options, int[] expected) =>
        Assert.Equal(expected, Bpe(Vocabulary, "[]", options).Encode("axybz").Ids);

    [Fact]
    public void Unknown_characters_become_bytes_when_asked()
    {
        Tokenizer tokenizer = Bpe("""{"a": 0, "?": 1, "<0xC3>": 2, "<0xA9>": 3}""", "[]", "\"unk_token\": \"?\", \"byte_fallback\": true,");

        // é is C3 A9; ß is C3 9F, and 9F is missing.
        Assert.Equal([0, 2, 3, 1], tokenizer.Encode("aéß").Ids);
    }

    [Fact]
    public void Merges_can_be_ignored_for_whole_words()
    {
        Assert.Equal([5], Bpe(Vocabulary, "[]", "\"ignore_merges\": true,").Encode("abc").Ids);
        Assert.Equal([0, 1, 2], Bpe(Vocabulary, "[]").Encode("abc").Ids);
    }

    [Fact]
    public void Clip_splits_words_digits_and_signs_and_writes_bytes()
    {
        // Characters are UTF-8 bytes in printable form: a space is Ġ, é is Ã©, the Gothic letter U+10330 is F0 90 8C B0 = ð Ĳ Į °.
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", """
            {"added_tokens": [{"id": 90, "content": "<|startoftext|>", "normalized": true, "special": true},
                              {"id": 91, "content": "<|endoftext|>", "normalized": false, "special": true}],
             "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]},
             "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "behavior": "Removed", "invert": true,
                 "pattern": {"Regex": "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}},
                {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}]},
             "post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", 91], "cls": ["<|startoftext|>", 90]},
             "model": {"type": "BPE", "unk_token": "<|endoftext|>", "end_of_word_suffix": "</w>", "merges": ["i t", "it </w>"], "vocab": {
                "i": 0, "t": 1, "t</w>": 2, "it": 3, "it</w>": 4, "'": 5, "s</w>": 6, "1</w>": 7, "2</w>": 8, "!": 9, "?</w>": 10,
                "Ã": 11, "©</w>": 12, "ð": 13, "Ĳ": 14, "Į": 15, "°": 16, "°</w>": 17, "</w>": 18, "<|endoftext|>": 91}}}
            """));

        // "It's" is it + 's; each digit is a word; !? is one word.
        Assert.Equal([90, 0, 2, 5, 6, 7, 8, 9, 10, 91], tokenizer.Encode("It's  12 !?").Ids);

        // E + combining acute is composed and lowercased to é before it becomes bytes.
        Assert.Equal([90, 11, 12, 91], tokenizer.Encode("E\u0301").Ids);

        // Two Gothic letters are one word of letters: only the last byte ends a word.
        Assert.Equal([90, 13, 14, 15, 16, 13, 14, 15, 17, 91], tokenizer.Encode("\U00010330\U00010330").Ids);

        // Special tokens are found in the text, one of them after lowercasing only.
        Assert.Equal([90, 91, 0, 2, 90, 91], tokenizer.Encode("<|endoftext|>it<|STARTOFTEXT|>").Ids);
    }

    [Theory]
    [InlineData("Isolated", false, new[] { 0, 9, 9, 1 })]
    [InlineData("Removed", false, new[] { 0, 1 })]
    [InlineData("Removed", true, new[] { 9, 9 })]
    [InlineData("MergedWithPrevious", false, new[] { 10, 9, 1 })]
    [InlineData("MergedWithNext", false, new[] { 0, 9, 11 })]
    [InlineData("Contiguous", false, new[] { 0, 12, 1 })]
    public void A_split_puts_its_matches_where_it_is_told(string behavior, bool invert, int[] expected)
    {
        // ignore_merges shows the pieces: "a--b" with "-" as the pattern.
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", $$"""
            {"pre_tokenizer": {"type": "Split", "pattern": {"String": "-"}, "behavior": "{{behavior}}", "invert": {{(invert ? "true" : "false")}} },
             "model": {"type": "BPE", "ignore_merges": true, "merges": [],
                       "vocab": {"a": 0, "b": 1, "-": 9, "a-": 10, "-b": 11, "--": 12} } }
            """));

        Assert.Equal(expected, tokenizer.Encode("a--b").Ids);
    }

    [Fact]
    public void Byte_level_words_carry_the_space_before_them()
    {
        Tokenizer tokenizer = TokenizerFixture.Load(("tokenizer.json", """
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true},
             "model": {"type": "BPE", "ignore_merges": true, "merges": [], "vocab": {"Ġa": 0, "Ġ12": 1, "Ġ": 2, "'s": 3, "ĠĠ": 4}}}
            """));

        // A prefix is added; of three spaces the last belongs to the number.
        Assert.Equal([0, 3, 4, 1, 2], tokenizer.Encode("a's   12 ").Ids);
    }

    private static Tokenizer Bpe(string vocabulary, string merges, string options = "") => TokenizerFixture.Load(
        ("tokenizer.json", $$"""{"model": {"type": "BPE", {{options}} "vocab": {{vocabulary}}, "merges": {{merges}} } }"""));
}
