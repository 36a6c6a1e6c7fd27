using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

/// <summary>Tokenizer files made to hang the program or to fill its memory.</summary>
public class TokenizerLimitTests
{
    private static readonly (string, double)[] s_pieces = [("a", -1)];

    [Theory]
    [InlineData("normalizer", """{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaa"}""", 16)]
    [InlineData("normalizer", """{"type": "Prepend", "prepend": "LONG"}""", 16)]
    [InlineData("normalizer", """{"type": "NFKD"}""", 17)]
    [InlineData("pre_tokenizer", """{"type": "ByteLevel", "use_regex": false}""", 300)]
    [InlineData("pre_tokenizer", """{"type": "ByteLevel", "use_regex": false}""", 16)]
    public void A_chain_that_grows_the_text_ends_with_an_error_of_the_file(string section, string step, int count)
    {
        step = step.Replace("LONG", new string('x', 1 << 21), StringComparison.Ordinal);
        string chain = section == "normalizer"
            ? $$"""{"type": "Sequence", "normalizers": [{{string.Join(", ", Enumerable.Repeat(step, count))}}]}"""
            : $$"""{"type": "Sequence", "pretokenizers": [{{string.Join(", ", Enumerable.Repeat(step, count))}}]}""";
        Assert.Throws<ModelFormatException>(() =>
            TokenizerFixture.Unigram(section == "normalizer" ? chain : "null", section == "normalizer" ? "null" : chain, s_pieces).Encode(
                string.Concat(Enumerable.Repeat("äaaa ßaaa öaaa", 200))));
    }

    [Fact]
    public void Patterns_that_are_slow_one_by_one_do_not_add_up()
    {
        // Each doubles its time with every letter: half a second or more for this text, and there are sixteen of them.
        string[] steps = [.. Enumerable.Range(0, 16).Select(i => $$"""{"type": "Split", "pattern": {"Regex": "^(a+)+b{{i + 1}}$"}, "behavior": "Isolated", "invert": false}""")];
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", $$"""{"type": "Sequence", "pretokenizers": [{{string.Join(", ", steps)}}]}""", s_pieces);
        Assert.Throws<ModelFormatException>(() => tokenizer.Encode(new string('a', 30)));
    }

    [Fact]
    public void Long_tokens_long_patterns_and_too_many_of_anything_are_refused()
    {
        Assert.Contains("score were expected", Refused("null", [(new string('a', 1025), -1)]), StringComparison.Ordinal);
        Assert.Contains("the most", Refused($$"""{"type": "Replace", "pattern": {"Regex": "{{new string('a', 5000)}}"}, "content": ""}""", s_pieces), StringComparison.Ordinal);
        Assert.Contains("the most", Refused($$"""{"type": "Replace", "pattern": {"String": "{{new string('a', 5000)}}"}, "content": ""}""", s_pieces), StringComparison.Ordinal);

        static string Refused(string normalizer, (string, double)[] pieces) =>
            Assert.Throws<ModelFormatException>(() => TokenizerFixture.Unigram(normalizer, "null", pieces)).Message;
    }

    [Fact]
    public void A_text_of_a_million_characters_is_taken_and_a_longer_one_is_the_callers_mistake()
    {
        Tokenizer tokenizer = TokenizerFixture.Unigram("null", """{"type": "WhitespaceSplit"}""", s_pieces);
        Assert.Throws<ArgumentException>(() => tokenizer.Encode(new string('a', (1 << 20) + 1)));
        Assert.Equal(77, tokenizer.Encode(string.Concat(Enumerable.Repeat("a ", 1 << 15)), 77).Ids.Length);
    }
}
