namespace DiCacheNative.Cli.Bench;

/// <summary>Result of <see cref="ModelBenchmark"/>; milliseconds.</summary>
/// <param name="FullMs">A computed step.</param>
/// <param name="ResumeMs">A step computed after its probe was measured.</param>
/// <param name="SkipMs">A skipped step, probe and decision included.</param>
/// <param name="GemmOnlyMs">The matrix products of a computed step alone.</param>
/// <param name="GflopsPerS">Matrix products and attention of a computed step over its median time.</param>
/// <param name="MeasuredSpeedUp">Of the reference schedule over computing every step.</param>
/// <param name="IdealSpeedUp">Of the same schedule if deciding and blending were free.</param>
/// <param name="Rounds">Counted rounds.</param>
/// <param name="Discarded">Rounds before them, while plans were recorded.</param>
internal sealed record ModelTimes(
    Distribution FullMs, Distribution ResumeMs, Distribution SkipMs, Distribution GemmOnlyMs, double GflopsPerS, double MeasuredSpeedUp, double IdealSpeedUp,
    int Rounds, int Discarded)
{
    /// <summary>Measured over ideal speed-up.</summary>
    public double CacheEfficiency => MeasuredSpeedUp / IdealSpeedUp;

    /// <summary>A computed step in another precision, taken in the same rounds; null when none was asked for.</summary>
    public Distribution? AgainstMs { get; init; }

    /// <summary>What that one computed with.</summary>
    public string? Against { get; init; }

    /// <summary>How many times as fast as that one: the median of the rounds' own ratios.</summary>
    public double? TimesAsFast => AgainstMs is null ? null : new Distribution([.. AgainstMs.Samples.Zip(FullMs.Samples, (a, b) => a / b)]).Median;
}
