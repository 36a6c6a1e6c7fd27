using System.Globalization;

namespace DiCacheNative.Fuzz;

/// <summary>The command line: --cases N, --seed N, --target NAME (again for more), --jobs N, --case N, --out FOLDER.</summary>
internal sealed record Options
{
    public long Cases { get; init; } = 20_000;

    public int Seed { get; init; } = 1;

    /// <summary>Targets by name; empty for all.</summary>
    public IReadOnlyList<string> Targets { get; init; } = [];

    /// <summary>Child processes at a time.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>One case to repeat, of one target; its files stay.</summary>
    public long? Case { get; init; }

    /// <summary>Where reproducers go.</summary>
    public string Out { get; init; } = Path.Combine("out", "fuzz");

    /// <summary>For child processes: first case and the one after the last, and the file that says which runs.</summary>
    public (long First, long End, string Progress)? Worker { get; init; }

    public static Options Parse(string[] args)
    {
        Options options = new();
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"{args[i]} needs a value");
            long Number(long least) => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out long number) && number >= least
                ? number : throw new ArgumentException($"{args[i]} takes a whole number from {least}, not '{value}'");
            options = args[i] switch
            {
                "--cases" => options with { Cases = Number(1) },
                "--seed" => options with { Seed = (int)Math.Min(Number(0), int.MaxValue) },
                "--jobs" => options with { Jobs = (int)Math.Min(Number(1), 64) },
                "--case" => options with { Case = Number(0) },
                "--target" => options with { Targets = [.. options.Targets, value] },
                "--out" => options with { Out = value },
                "--worker" => options with { Worker = ParseWorker(value) },
                _ => throw new ArgumentException($"there is no option {args[i]}: --cases, --seed, --target, --jobs, --case and --out are"),
            };
        }

        return options;
    }

    private static (long First, long End, string Progress) ParseWorker(string value)
    {
        string[] parts = value.Split(':', 3);
        return (long.Parse(parts[0], CultureInfo.InvariantCulture), long.Parse(parts[1], CultureInfo.InvariantCulture), parts[2]);
    }
}
