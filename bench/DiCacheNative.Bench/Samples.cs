using System.Diagnostics;

namespace DiCacheNative.Bench;

/// <summary>Measurements of one thing, one per round.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];

    internal double Median
    {
        get
        {
            double[] sorted = [.. _values.Order()];
            int half = sorted.Length / 2;
            return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
        }
    }

    internal double Least => _values.Min();

    internal double Largest => _values.Max();

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
