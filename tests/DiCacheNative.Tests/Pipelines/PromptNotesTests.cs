namespace DiCacheNative.Tests.Pipelines;

public sealed class PromptNotesTests
{
    private const string Long =
        "a large red circle left of a small blue square and a tiny green star above a big white ring on a black background with a pink heart below";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("shapes-flux", new[] { "text_encoder", "text_encoder_2" })]
    [InlineData("shapes-wan", new[] { "text_encoder" })]
    public async Task A_prompt_that_is_cut_is_told_with_counts_and_what_was_left_out_for_every_encoder(string model, string[] encoders)
    {
        List<string> log = [];
        using Engine engine = Engine.Load(Repository.File("models", model), new EngineOptions { Backend = BackendKind.Cpu, Log = log.Add });
        GenerationResult result = await engine.GenerateAsync(Request(Long), cancellationToken: Cancel);
        Assert.Equal(encoders, result.PromptTokens.Select(p => p.Encoder));
        Assert.All(result.PromptTokens, p => Assert.True(p.Given > p.Used && p.Used == 24, $"{p}"));
        foreach (PromptTokens count in result.PromptTokens)
        {
            string note = Assert.Single(result.Notes, n => n.Contains($"{count.Encoder} takes", StringComparison.Ordinal));
            Assert.Contains($"the prompt has {count.Given} tokens", note, StringComparison.Ordinal);
            Assert.Contains($"the last {count.Given - count.Used} were left out", note, StringComparison.Ordinal);
            string from = note[(note.IndexOf('"', StringComparison.Ordinal) + 1)..note.LastIndexOf('"')];
            Assert.Contains(" " + from.TrimEnd('…'), Long, StringComparison.Ordinal);
        }

        Assert.Equal(log, result.Notes);
    }

    [Fact]
    public async Task A_prompt_that_fits_is_counted_and_nothing_is_told()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationResult result = await engine.GenerateAsync(Request("a red circle"), cancellationToken: Cancel);
        Assert.Empty(result.Notes);
        Assert.All(result.PromptTokens, p => Assert.Equal(p.Given, p.Used));
    }

    [Fact]
    public async Task A_negative_prompt_that_is_cut_is_told()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-wan"), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationResult result = await engine.GenerateAsync(Request("a red circle") with { NegativePrompt = Long, CfgScale = 2 }, cancellationToken: Cancel);
        Assert.Contains(result.Notes, n => n.StartsWith("the negative prompt has", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_left_out_of_one_endless_word_is_found_too()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationResult result = await engine.GenerateAsync(Request(new string('a', 5000)), cancellationToken: Cancel);
        Assert.Contains(result.Notes, n => n.Contains("takes 24", StringComparison.Ordinal));
        Assert.All(result.Notes, n => Assert.True(n.Length < 300, n));
    }

    [Theory]
    [InlineData("shapes-flux", "the quick brown fox", "\"quick\", \"fox\":")]
    [InlineData("shapes-wan", "a red dragon flies", "\"dragon\", \"flies\":")]
    [InlineData("shapes-flux", "ei la mo ne po ru xi", "and 2 more:")]
    public async Task Words_that_a_small_model_does_not_know_are_told_in_one_line(string model, string prompt, string named)
    {
        using Engine engine = Engine.Load(Repository.File("models", model), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationResult result = await engine.GenerateAsync(Request(prompt), cancellationToken: Cancel);
        Assert.Contains(named, Assert.Single(result.Notes), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("{\"known_words\": []}")]
    [InlineData("{\"known_words\": [1]}")]
    public void A_list_of_words_that_says_nothing_is_the_files_fault(string json)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("known_words.json"), json);
        Assert.Contains("known_words", Assert.Throws<ModelFormatException>(() => KnownWords.Read(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_the_list_knows_everything()
    {
        using TemporaryFolder folder = new();
        Assert.Null(KnownWords.Read(folder.Path));
    }

    private static GenerationRequest Request(string prompt) => new() { Prompt = prompt, Steps = 1, Width = 32, Height = 32, VideoFrames = 1, CfgScale = 1 };
}
