using System.Diagnostics;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli.Bench;

/// <summary>Times operations on any backend: issue, wait, divide.</summary>
internal static class BackendTimer
{
    /// <summary>Microseconds of one run of an action, the mean of as many as take a fair while together.</summary>
    /// <param name="backend">Where the action issues operations.</param>
    /// <param name="action">Issues them.</param>
    /// <param name="atLeastMs">How long the runs take together, at least.</param>
    public static double Microseconds(IBackend backend, Action<IBackend> action, double atLeastMs = 5)
    {
        backend.Synchronize();
        long start = Stopwatch.GetTimestamp();
        int runs = 0;
        do
        {
            action(backend);
            runs++;
            if (runs % 16 == 1)
            {
                backend.Synchronize();
            }
        }
        while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < atLeastMs);
        backend.Synchronize();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds / runs;
    }
}
