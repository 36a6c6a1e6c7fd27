namespace DiCacheNative.Cli.Bench;

/// <summary>Result of <see cref="PipelineBenchmark"/>; milliseconds are medians of the denoising loop.</summary>
/// <param name="UncachedMs">Every step computed.</param>
/// <param name="CachedMs">With DiCache.</param>
/// <param name="Full">Calls computed without a measurement.</param>
/// <param name="Resume">Calls computed after one.</param>
/// <param name="Skip">Calls skipped.</param>
/// <param name="MeasuredSpeedUp">Median of the ratios of pairs run one after the other.</param>
/// <param name="IdealSpeedUp">Of the same schedule by its floating-point operations.</param>
/// <param name="Rounds">Pairs behind each median.</param>
internal sealed record PipelineTimes(
    double UncachedMs, double CachedMs, int Full, int Resume, int Skip, double MeasuredSpeedUp, double IdealSpeedUp, int Rounds)
{
    /// <summary>Measured over ideal speed-up.</summary>
    public double CacheEfficiency => MeasuredSpeedUp / IdealSpeedUp;
}
