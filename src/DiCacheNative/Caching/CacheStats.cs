namespace DiCacheNative.Caching;

/// <summary>What a cache did in a session, counted in model calls (a guided step is two calls).</summary>
public sealed class CacheStats
{
    /// <summary>Calls computed without a measurement.</summary>
    public int Full { get; private set; }

    /// <summary>Calls computed after a measurement, from the probe on.</summary>
    public int Resume { get; private set; }

    /// <summary>Calls approximated.</summary>
    public int Skip { get; private set; }

    /// <summary>Measurements that were not finite (0/0, NaN or infinite features); each led to a computed step.</summary>
    public int NonFinite { get; private set; }

    /// <summary>Calls in all.</summary>
    public int Calls => Full + Resume + Skip;

    /// <summary>True when there was a cache and no call was skipped: it only cost time, or had no chance (warm-up, too few steps).</summary>
    public bool NeverEngaged => HasCache && Calls > 0 && Skip == 0;

    /// <summary>Whether there was a cache at all.</summary>
    internal bool HasCache { get; init; }

    internal void Count(StepDecision decision, bool nonFinite)
    {
        switch (decision)
        {
            case StepDecision.Full:
                Full++;
                break;
            case StepDecision.Resume:
                Resume++;
                break;
            default:
                Skip++;
                break;
        }

        NonFinite += nonFinite ? 1 : 0;
    }
}
