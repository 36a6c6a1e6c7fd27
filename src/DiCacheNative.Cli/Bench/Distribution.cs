using System.Text.Json.Nodes;

namespace DiCacheNative.Cli.Bench;

/// <summary>Repeated measurements of one thing: the median with its spread, and the samples themselves.</summary>
/// <param name="samples">In the order in which they were taken; at least one.</param>
internal sealed class Distribution(IReadOnlyList<double> samples)
{
    private readonly double[] _sorted = [.. samples.Order()];

    /// <summary>In the order in which they were taken.</summary>
    public IReadOnlyList<double> Samples => samples;

    public double Median => Quantile(0.5);

    public double LowerQuartile => Quantile(0.25);

    public double UpperQuartile => Quantile(0.75);

    public double Least => _sorted[0];

    public double Largest => _sorted[^1];

    /// <summary>The value below which a share of the samples lies, taken between two of them where it has to be.</summary>
    public double Quantile(double share)
    {
        double at = share * (_sorted.Length - 1);
        int below = (int)at;
        return below + 1 < _sorted.Length ? _sorted[below] + ((at - below) * (_sorted[below + 1] - _sorted[below])) : _sorted[below];
    }

    /// <summary>All of it, for a report.</summary>
    public JsonObject ToJson() => new()
    {
        ["median"] = Median,
        ["min"] = Least,
        ["lower_quartile"] = LowerQuartile,
        ["upper_quartile"] = UpperQuartile,
        ["n"] = samples.Count,
        ["samples"] = JsonReport.List(samples, s => JsonValue.Create(s)),
    };
}
