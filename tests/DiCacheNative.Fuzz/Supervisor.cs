using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace DiCacheNative.Fuzz;

/// <summary>Shares cases out to child processes, starts them again where they died, and sums up.</summary>
internal sealed class Supervisor(Options options)
{
    private static readonly string[] s_failures = [Worker.Undocumented, Worker.Slow, Worker.Memory, Worker.Hang, Worker.Crash];

    // A child that says nothing for so long and does not end by itself is stopped.
    private static readonly TimeSpan s_silence = TimeSpan.FromMinutes(5);

    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, SortedDictionary<string, long>> _counts = new(StringComparer.Ordinal);
    private readonly List<string> _failures = [];

    /// <summary>Runs all cases of the targets, prints the table, and tells whether nothing failed.</summary>
    public bool Run(IReadOnlyList<Target> targets)
    {
        long start = Stopwatch.GetTimestamp();
        double weights = targets.Sum(t => Math.Max(t.Weight, targets.Count == 1 ? 1 : 0));
        List<(Target Target, long First, long End)> parts = [];
        foreach (Target target in targets)
        {
            long cases = targets.Count == 1 ? options.Cases : Math.Max(1, (long)Math.Round(options.Cases * target.Weight / weights));
            int jobs = (int)Math.Min(options.Jobs, Math.Max(1, cases / 1000));
            parts.AddRange(Enumerable.Range(0, jobs).Select(j => (target, cases * j / jobs, cases * (j + 1) / jobs)));
        }

        // Cases are rounded by target: the largest makes up the difference.
        if (targets.Count > 1 && options.Cases - parts.Sum(p => p.End - p.First) is var rest and not 0)
        {
            int largest = parts.IndexOf(parts.Where(p => p.End - p.First + rest > 0).MaxBy(p => p.End));
            parts[largest] = (parts[largest].Target, parts[largest].First, parts[largest].End + rest);
        }

        Parallel.ForEach(parts, new ParallelOptions { MaxDegreeOfParallelism = options.Jobs }, p => RunPart(p.Target, p.First, p.End));
        Print(Stopwatch.GetElapsedTime(start));
        return _failures.Count == 0;
    }

    private void RunPart(Target target, long first, long end)
    {
        string progress = Path.GetTempFileName();
        try
        {
            HashSet<long> failed = [];
            int deaths = 0;
            while (first < end)
            {
                // After a case that ended the process, the cases before it that were not yet counted run again; it does not.
                long stop = failed.Where(c => c >= first).DefaultIfEmpty(end).Min();
                if (stop == first)
                {
                    first++;
                    continue;
                }

                (long next, bool died) = RunProcess(target, first, stop, progress, failed);
                first = next;
                if (died && ++deaths > 100)
                {
                    lock (_lock)
                    {
                        _failures.Add($"{target.Name}: a hundred processes have died; the cases from {first} on were not run");
                    }

                    return;
                }
            }
        }
        finally
        {
            File.Delete(progress);
        }
    }

    private (long Next, bool Died) RunProcess(Target target, long first, long end, string progress, HashSet<long> failed)
    {
        File.WriteAllBytes(progress, BitConverter.GetBytes(-1L));
        ProcessStartInfo start = new(Environment.ProcessPath!) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet")
        {
            start.ArgumentList.Add("exec");
            start.ArgumentList.Add(typeof(Supervisor).Assembly.Location);
        }

        foreach (string argument in new[] { "--target", target.Name, "--seed", $"{options.Seed}", "--worker",
            string.Create(CultureInfo.InvariantCulture, $"{first}:{end}:{progress}") })
        {
            start.ArgumentList.Add(argument);
        }

        using Process process = Process.Start(start)!;
        process.ErrorDataReceived += static (_, _) => { };
        process.BeginErrorReadLine();
        long next = first;
        using Timer silence = new(_ => process.Kill(entireProcessTree: true));
        silence.Change(s_silence, Timeout.InfiniteTimeSpan);
        while (process.StandardOutput.ReadLine() is { } line)
        {
            silence.Change(s_silence, Timeout.InfiniteTimeSpan);
            string[] fields = line.Split('\t', 4);
            switch (fields[0])
            {
                case "COUNT":
                    next = long.Parse(fields[1], CultureInfo.InvariantCulture);
                    foreach ((string outcome, long count) in JsonSerializer.Deserialize<Dictionary<string, long>>(fields[2])!)
                    {
                        Count(target, outcome, count);
                    }

                    break;
                case "FAIL":
                    long number = long.Parse(fields[1], CultureInfo.InvariantCulture);
                    if (failed.Add(number) || fields[2] != Worker.Hang)
                    {
                        Failed(target, number, fields[2], fields[3]);
                    }

                    if (fields[2] == Worker.Hang)
                    {
                        Count(target, Worker.Hang, 1);
                    }
                    else
                    {
                        failed.Remove(number);
                    }

                    break;
                default:
                    break;
            }
        }

        process.WaitForExit();
        if (next == end)
        {
            return (next, false);
        }

        long running = BitConverter.ToInt64(File.ReadAllBytes(progress));
        if (running < first)
        {
            Failed(target, first, Worker.Crash,
                $"the process ended with {process.ExitCode} before this case, which was to be its first; cases {first} to {end} were not run");
            return (end, false);
        }

        if (failed.Add(running))
        {
            Count(target, Worker.Crash, 1);
            Failed(target, running, Worker.Crash, $"the process ended with {process.ExitCode}");
        }

        return (next, true);
    }

    private void Count(Target target, string outcome, long count)
    {
        lock (_lock)
        {
            if (!_counts.TryGetValue(target.Name, out SortedDictionary<string, long>? outcomes))
            {
                _counts.Add(target.Name, outcomes = new(StringComparer.Ordinal));
            }

            outcomes[outcome] = outcomes.GetValueOrDefault(outcome) + count;
        }
    }

    private void Failed(Target target, long number, string outcome, string detail)
    {
        lock (_lock)
        {
            string text = $"{outcome} {target.Name} case {number}, seed {options.Seed}: {detail}";
            _failures.Add(text);
            Directory.CreateDirectory(options.Out);
            string repeat = $"dotnet run --project tests/DiCacheNative.Fuzz -c Release -- --target {target.Name} --seed {options.Seed} --case {number}";
            File.WriteAllText(Path.Combine(options.Out, $"{target.Name}-{options.Seed}-{number}.txt"),
                $"{text.Replace(" | ", "\n", StringComparison.Ordinal)}\n\n{repeat}\n");
            Console.WriteLine(text.Length > 600 ? text[..600] + "…" : text);
        }
    }

    private void Print(TimeSpan time)
    {
        string[] documented = [.. _counts.Values.SelectMany(c => c.Keys).Distinct().Except([Worker.Accepted, .. s_failures]).Order(StringComparer.Ordinal)];
        string[] columns = ["cases", Worker.Accepted, .. documented, .. s_failures];
        List<string[]> rows = [["target", .. columns]];
        foreach ((string name, SortedDictionary<string, long> counts) in _counts)
        {
            rows.Add([name, .. columns.Select(c => Shown(c == "cases" ? counts.Values.Sum() : counts.GetValueOrDefault(c)))]);
        }

        rows.Add(["all", .. columns.Select(c => Shown(_counts.Values.Sum(counts => c == "cases" ? counts.Values.Sum() : counts.GetValueOrDefault(c))))]);
        int[] widths = [.. Enumerable.Range(0, columns.Length + 1).Select(i => rows.Max(r => r[i].Length))];
        foreach (string[] row in rows)
        {
            Console.WriteLine(string.Join("  ", row.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))));
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{_failures.Count} failures, seed {options.Seed}, {time.TotalSeconds:0} s{(_failures.Count > 0 ? $"; reproducers are in {options.Out}" : "")}"));

        static string Shown(long count) => count.ToString("N0", CultureInfo.InvariantCulture);
    }
}
