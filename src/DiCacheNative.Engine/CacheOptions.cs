using DiCacheNative.Caching;

namespace DiCacheNative;

/// <summary>The caches to choose from; any <see cref="ICachePolicy"/> of your own will do as well.</summary>
public static class CacheOptions
{
    /// <summary>Compute every step.</summary>
    public static ICachePolicy None => NoCachePolicy.Instance;

    /// <summary>DiCache (arXiv:2508.17356): an online probe decides when, trajectory alignment how.</summary>
    /// <param name="options">Settings; <see cref="DiCacheOptions.Default"/> when left out.</param>
    public static ICachePolicy DiCache(DiCacheOptions? options = null) => new DiCachePolicy(options);

    /// <summary>Compute every n-th step, reuse the residual in between.</summary>
    /// <param name="interval">n, at least 1.</param>
    /// <param name="retRatio">Part of the generation that is always computed at its start, 0 to 1.</param>
    public static ICachePolicy Interval(int interval, double retRatio = 0) => new IntervalPolicy(interval, retRatio);

    /// <summary>Repeat the decisions of a recorded trace.</summary>
    /// <param name="tracePath">JSON lines written from <see cref="GenerationResult.Trace"/>.</param>
    public static ICachePolicy Replay(string tracePath) => new ReplayPolicy(CacheTrace.Read(tracePath));
}
