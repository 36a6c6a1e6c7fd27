using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Text;

namespace DiCacheNative;

/// <summary>What the caller of a generation should know: each sentence once, to the log when it is found and into the result at the end.</summary>
/// <param name="log">Receives every sentence; may be null.</param>
internal sealed class GenerationNotes(Action<string>? log)
{
    private const int ShownLetters = 60;

    private readonly List<string> _all = [];

    /// <summary>All sentences so far.</summary>
    public IReadOnlyList<string> All => [.. _all];

    /// <summary>Tells something, unless it has been told.</summary>
    /// <param name="sentence">One sentence; null says nothing.</param>
    public void Add(string? sentence)
    {
        if (sentence is null || _all.Contains(sentence))
        {
            return;
        }

        _all.Add(sentence);
        log?.Invoke(sentence);
    }

    /// <summary>Tells something when a condition holds.</summary>
    public void AddIf(bool condition, string sentence)
    {
        if (condition)
        {
            Add(sentence);
        }
    }

    /// <summary>Tells which settings have no effect on any model.</summary>
    /// <param name="request">The request as it was made.</param>
    /// <param name="cfgScale">Its guidance, or the model's own.</param>
    public void AddIdleSettings(GenerationRequest request, float cfgScale)
    {
        AddIf(
            cfgScale == 1 && !string.IsNullOrEmpty(request.NegativePrompt),
            "the negative prompt has no effect without classifier-free guidance: give a guidance scale (CFG) other than 1");
        AddIf(
            request.ProbeForm != ProbeForm.Epilogue && request.Cache.ProbeDepth == 0,
            $"the probe form {request.ProbeForm} has no effect: the cache \"{request.Cache.Name}\" runs no probe");
    }

    /// <summary>Tells when a prompt was cut: how many tokens it has, how many were kept, and from where on it was left out.</summary>
    /// <param name="what">Which prompt: "prompt" or "negative prompt".</param>
    /// <param name="encoder">The text encoder, by its folder.</param>
    /// <param name="prompt">The text.</param>
    /// <param name="tokenizer">What cut it.</param>
    /// <param name="ids">What is left.</param>
    public void AddCut(string what, string encoder, string prompt, Tokenizer tokenizer, TokenizedText ids)
    {
        int lost = ids.GivenCount - ids.TokenCount;
        if (lost > 0)
        {
            string which = tokenizer.CutsAtStart ? $"the first {lost} were left out"
                : $"the last {lost} were left out, from \"{Shorten(LeftOut(prompt, tokenizer, ids))}\" on";
            Add($"the {what} has {ids.GivenCount} tokens, and {encoder} takes {ids.TokenCount}: {which}");
        }
    }

    /// <summary>A text on one line, cut after some letters.</summary>
    public static string Shorten(string text)
    {
        text = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return text.Length <= ShownLetters ? text : text[..(char.IsHighSurrogate(text[ShownLetters - 1]) ? ShownLetters - 1 : ShownLetters)] + "…";
    }

    /// <summary>The end of a prompt that its tokens do not reach: after the longest beginning that is not cut.</summary>
    private static string LeftOut(string prompt, Tokenizer tokenizer, TokenizedText ids)
    {
        // No token stands for this many letters, so the cut lies before.
        const int lettersPerToken = 64;
        int fits = 0, cut = Math.Min(prompt.Length, ids.Ids.Length * lettersPerToken);
        while (cut - fits > 1)
        {
            int middle = (fits + cut) / 2;
            TokenizedText start = tokenizer.Encode(prompt[..middle], ids.Ids.Length);
            (fits, cut) = start.GivenCount > start.TokenCount ? (fits, middle) : (middle, cut);
        }

        // A word that was cut inside is shown whole.
        while (fits > 0 && !char.IsWhiteSpace(prompt[fits - 1]) && cut - fits < lettersPerToken)
        {
            fits--;
        }

        return prompt[fits..];
    }

    /// <summary>Tells when a cache was asked for and skipped nothing, and why.</summary>
    /// <param name="cache">What it did.</param>
    /// <param name="policy">The cache.</param>
    public void AddCache(CacheStats cache, ICachePolicy policy)
    {
        if (!cache.NeverEngaged)
        {
            return;
        }

        string why = cache.Resume > 0
            ? $"all {cache.Resume} probed calls were computed" + (cache.NonFinite > 0
                ? $", {cache.NonFinite} of them because their change was not finite"
                : "; raise the threshold, or compute every step without a cache")
            : policy.ProbeDepth > 0
                ? $"none of the {cache.Calls} calls was allowed to skip, since the warm-up and the last step are always computed; "
                    + "take more steps or a smaller ratio of warm-up"
                : $"the policy {policy.Name} planned none of the {cache.Calls} calls to be skipped";
        Add("the cache never engaged: " + why);
    }
}
