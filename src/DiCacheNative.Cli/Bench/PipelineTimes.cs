namespace DiCacheNative.Cli.Bench;

/// <summary>Result of <see cref="PipelineBenchmark"/>; milliseconds of the denoising loop.</summary>
/// <param name="UncachedMs">Every step computed.</param>
/// <param name="CachedMs">With DiCache.</param>
/// <param name="SpeedUps">Ratios of pairs run one after the other.</param>
/// <param name="Full">Calls computed without a measurement.</param>
/// <param name="Resume">Calls computed after one.</param>
/// <param name="Skip">Calls skipped.</param>
/// <param name="IdealSpeedUp">Of the same schedule by its floating-point operations.</param>
/// <param name="Rounds">Counted pairs.</param>
/// <param name="Discarded">Pairs before them.</param>
internal sealed record PipelineTimes(
    Distribution UncachedMs, Distribution CachedMs, Distribution SpeedUps, int Full, int Resume, int Skip, double IdealSpeedUp, int Rounds, int Discarded)
{
    /// <summary>Median of the ratios.</summary>
    public double MeasuredSpeedUp => SpeedUps.Median;

    /// <summary>Measured over ideal speed-up.</summary>
    public double CacheEfficiency => MeasuredSpeedUp / IdealSpeedUp;
}
