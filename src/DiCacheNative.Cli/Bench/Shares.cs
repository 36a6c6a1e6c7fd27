namespace DiCacheNative.Cli.Bench;

/// <summary>What a share of a limit can be.</summary>
internal static class Shares
{
    /// <summary>Above it, a share is no result but noise: another load, another clock, or a limit that was measured at a bad moment.</summary>
    public const double Most = 1.05;

    /// <summary>Cache efficiency over 1 is noise too: deciding and blending cannot take less than no time.</summary>
    public const double MostEfficiency = 1;
}
