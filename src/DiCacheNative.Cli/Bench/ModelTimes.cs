namespace DiCacheNative.Cli.Bench;

/// <summary>Result of <see cref="ModelBenchmark"/>; milliseconds are medians.</summary>
/// <param name="FullMs">A computed step.</param>
/// <param name="ResumeMs">A step computed after its probe was measured.</param>
/// <param name="SkipMs">A skipped step, probe and decision included.</param>
/// <param name="GemmOnlyMs">The matrix products of a computed step alone.</param>
/// <param name="GflopsPerS">Matrix products and attention of a computed step over its time.</param>
/// <param name="MeasuredSpeedUp">Of the reference schedule over computing every step.</param>
/// <param name="IdealSpeedUp">Of the same schedule if deciding and blending were free.</param>
/// <param name="Rounds">Measurements behind each median.</param>
internal sealed record ModelTimes(
    double FullMs, double ResumeMs, double SkipMs, double GemmOnlyMs, double GflopsPerS, double MeasuredSpeedUp, double IdealSpeedUp, int Rounds)
{
    /// <summary>Measured over ideal speed-up.</summary>
    public double CacheEfficiency => MeasuredSpeedUp / IdealSpeedUp;
}
