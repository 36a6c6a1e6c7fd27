using DiCacheNative.Backends;
using DiCacheNative.Caching;

namespace DiCacheNative;

/// <summary>What the caller of a generation should know: each sentence once, to the log when it is found and into the result at the end.</summary>
/// <param name="log">Receives every sentence; may be null.</param>
internal sealed class GenerationNotes(Action<string>? log)
{
    private readonly List<string> _all = [];

    /// <summary>All sentences so far.</summary>
    public IReadOnlyList<string> All => [.. _all];

    /// <summary>Tells something, unless it has been told.</summary>
    public void Add(string sentence)
    {
        if (_all.Contains(sentence))
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

    /// <summary>Tells when a cache was asked for and did nothing.</summary>
    public void AddCache(CacheStats cache) => AddIf(
        cache.NeverEngaged,
        $"the cache never engaged: all {cache.Resume} probed calls were computed"
        + (cache.NonFinite > 0 ? $", {cache.NonFinite} of them because their change was not finite" : "; raise the threshold, or compute every step without a cache"));
}
