using System.Diagnostics;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// How often things are measured: rounds in which each is measured once, in turn, after some that are not counted. Says on the way how long
/// it will take.
/// </summary>
/// <param name="asked">Counted rounds; null for as many as fit into a minute, 3 to 15.</param>
/// <param name="tell">Receives one line now and then.</param>
/// <param name="cancel">Ends the run between rounds.</param>
internal sealed class Rounds(int? asked, Action<string> tell, CancellationToken cancel)
{
    /// <summary>Rounds at most, when their number is not given.</summary>
    public const int Most = 15;

    /// <summary>Rounds that are thrown away at most while plans are still being recorded.</summary>
    public const int MostDiscarded = 8;

    private const int Fewest = 3;
    private const double Budget = 60;

    // Shorter runs say nothing on the way.
    private const double WorthTelling = 5;
    private const double BetweenLines = 10;

    /// <summary>Counted rounds at most.</summary>
    public int Bound => asked ?? Most;

    /// <summary>Rounds that were counted.</summary>
    public int Counted { get; private set; }

    /// <summary>Rounds that were thrown away.</summary>
    public int Discarded { get; private set; }

    /// <summary>Ends the run, when that was asked for.</summary>
    public CancellationToken Cancel => cancel;

    /// <summary>Says what is being done.</summary>
    public void Tell(string line) => tell(line);

    /// <summary>Measures.</summary>
    /// <param name="round">Measures everything once; whether to keep it.</param>
    /// <param name="warm">Whether everything that happens only once has happened in the last round.</param>
    public void Run(Action<bool> round, Func<bool>? warm = null)
    {
        // A round that recorded plans, or met a kernel for the first time, says nothing about the next one.
        long lastLine = Stopwatch.GetTimestamp();
        double seconds;
        do
        {
            cancel.ThrowIfCancellationRequested();
            seconds = Time(round, keep: false);
            Discarded++;
        }
        while (warm?.Invoke() == false && Discarded < MostDiscarded);

        int rounds = asked ?? Math.Clamp((int)(Budget / Math.Max(1e-3, seconds)), Fewest, Most);
        if (rounds * seconds > WorthTelling)
        {
            tell($"{rounds} rounds of about {seconds:0.0} s each");
        }

        for (Counted = 0; Counted < rounds;)
        {
            cancel.ThrowIfCancellationRequested();
            seconds = Time(round, keep: true);
            Counted++;
            if (Counted < rounds && Stopwatch.GetElapsedTime(lastLine).TotalSeconds > BetweenLines)
            {
                lastLine = Stopwatch.GetTimestamp();
                tell($"round {Counted} of {rounds}, about {(rounds - Counted) * seconds:0} s left");
            }
        }
    }

    private static double Time(Action<bool> round, bool keep)
    {
        long start = Stopwatch.GetTimestamp();
        round(keep);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
