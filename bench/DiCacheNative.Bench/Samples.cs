using System.Diagnostics;

namespace DiCacheNative.Bench;

/// <summary>Measurements of one thing, one per round.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];

    internal double Median => Quantile(0.5);

    internal double LowerQuartile => Quantile(0.25);

    internal double UpperQuartile => Quantile(0.75);

    internal IReadOnlyList<double> Values => _values;

    internal double Least => _values.Min();

    internal double Largest => _values.Max();

    /// <summary>The value below which a share of the measurements lies, taken between two of them where it has to be.</summary>
    internal double Quantile(double share)
    {
        double[] sorted = [.. _values.Order()];
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + ((at - below) * (sorted[below + 1] - sorted[below])) : sorted[below];
    }

    internal void Add(double value) => _values.Add(value);

    /// <summary>Adds the seconds of one call; short calls are repeated until a millisecond has passed.</summary>
    internal void Time(Action call)
    {
        long begin = Stopwatch.GetTimestamp();
        int calls = 0;
        double seconds;
        do
        {
            call();
            calls++;
            seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        }
        while (seconds < 1e-3);

        _values.Add(seconds / calls);
    }
}
