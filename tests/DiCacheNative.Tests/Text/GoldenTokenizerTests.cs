using System.Text.Json;
using DiCacheNative.Text;

namespace DiCacheNative.Tests.Text;

public class GoldenTokenizerTests
{
    [Fact]
    public void Both_tokenizers_of_shapes_flux_give_the_golden_ids()
    {
        Tokenizer clip = Tokenizer.Load(Repository.File("models", "shapes-flux", "tokenizer"));
        Tokenizer t5 = Tokenizer.Load(Repository.File("models", "shapes-flux", "tokenizer_2", "tokenizer.json"));

        foreach (JsonElement test in Cases("shapes-flux"))
        {
            string text = Text(test);
            Assert.Equal(Ids(test, "input_ids"), clip.Encode(text).Ids);
            Assert.Equal(Ids(test, "input_ids_2"), t5.Encode(text).Ids);
        }

        Assert.Equal((24, 701), (clip.MaxLength, clip.VocabularySize));
        Assert.Equal((24, 165), (t5.MaxLength, t5.VocabularySize));
    }

    [Fact]
    public void The_tokenizer_of_shapes_wan_gives_the_golden_ids()
    {
        Tokenizer tokenizer = Tokenizer.Load(Repository.File("models", "shapes-wan", "tokenizer", "tokenizer.json"));

        foreach (JsonElement test in Cases("shapes-wan"))
        {
            Assert.Equal(Ids(test, "input_ids"), tokenizer.Encode(Text(test)).Ids);
        }
    }

    [Fact]
    public void Vocab_json_and_merges_txt_alone_give_the_same_ids()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("clip-");
        try
        {
            foreach (string name in new[] { "vocab.json", "merges.txt", "tokenizer_config.json" })
            {
                File.Copy(Repository.File("models", "shapes-flux", "tokenizer", name), Path.Combine(folder.FullName, name));
            }

            Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
            foreach (JsonElement test in Cases("shapes-flux"))
            {
                Assert.Equal(Ids(test, "input_ids"), tokenizer.Encode(Text(test), 24).Ids);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void The_mask_counts_what_is_not_padding()
    {
        Tokenizer clip = Tokenizer.Load(Repository.File("models", "shapes-flux", "tokenizer"));

        TokenizedText text = clip.Encode("a red circle");

        // <|startoftext|> a red circle <|endoftext|>, then the same <|endoftext|> as padding.
        Assert.Equal(5, text.TokenCount);
        Assert.Equal([.. Enumerable.Repeat(1, 5), .. Enumerable.Repeat(0, 19)], text.AttentionMask);
    }

    [Fact]
    public void Another_length_cuts_and_pads_but_keeps_the_special_tokens()
    {
        Tokenizer clip = Tokenizer.Load(Repository.File("models", "shapes-flux", "tokenizer"));

        // 699 and 700 are start and end; 320 622 682 is "a red circle".
        Assert.Equal([699, 320, 622, 700], clip.Encode("a red circle", 4).Ids);
        Assert.Equal([699, 320, 622, 682, 700, 700, 700], clip.Encode("a red circle", 7).Ids);
        Assert.Equal([699, 700], clip.Encode("a red circle", 2).Ids);
        Assert.Throws<ArgumentOutOfRangeException>(() => clip.Encode("a red circle", 1));
    }

    private static IEnumerable<JsonElement> Cases(string model)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Repository.File("tests", "golden", model, "golden.json")));
        JsonElement root = document.RootElement.Clone();
        return [.. root.GetProperty("tokenizer_cases").EnumerateArray(), .. root.GetProperty("cases").EnumerateArray()];
    }

    private static string Text(JsonElement test) =>
        (test.TryGetProperty("text", out JsonElement text) ? text : test.GetProperty("prompt")).GetString()!;

    private static int[] Ids(JsonElement test, string name) => [.. test.GetProperty(name).EnumerateArray().Select(i => i.GetInt32())];
}
