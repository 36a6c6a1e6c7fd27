using System.Globalization;
using DiCacheNative.Bench;

const string usage = """
    usage: DiCacheNative.Bench gemm [--json] [--rounds N]          matrix products against the measured peak, on 1 and on all threads, in turn
           DiCacheNative.Bench ops [TEXT] [--json] [--rounds N]    operations whose case name contains TEXT, against the floor of each
           DiCacheNative.Bench bdn [TEXT] [--artifacts DIR]        the same cases under BenchmarkDotNet; CSV, Markdown and JSON in DIR/results
    All of them run on the CPU; dicache bench runs on every backend.
    """;

int Refuse(string sentence)
{
    Console.Error.WriteLine($"DiCacheNative.Bench: {sentence}");
    Console.Error.WriteLine(usage);
    return 2;
}

string mode = args.Length > 0 ? args[0] : "";
if (mode is not ("gemm" or "ops" or "bdn"))
{
    return Refuse(mode.Length == 0 ? "say what to measure" : $"there is no {mode}");
}

string? text = null, artifacts = null;
bool json = false;
int? rounds = null;
for (int i = 1; i < args.Length; i++)
{
    string word = args[i];
    bool hasValue = i + 1 < args.Length;
    if (word == "--json" && mode != "bdn" && !json)
    {
        json = true;
    }
    else if (word == "--rounds" && mode != "bdn" && rounds is null)
    {
        if (!hasValue || !int.TryParse(args[++i], NumberStyles.None, CultureInfo.InvariantCulture, out int count) || count is < 1 or > 1000)
        {
            return Refuse("--rounds takes a whole number of 1 to 1000");
        }

        rounds = count;
    }
    else if (word == "--artifacts" && mode == "bdn" && artifacts is null && hasValue)
    {
        artifacts = args[++i];
    }
    else if (!word.StartsWith('-') && mode != "gemm" && text is null)
    {
        text = word;
    }
    else
    {
        return Refuse($"{mode} does not take {word}");
    }
}

switch (mode)
{
    case "gemm":
        GemmReport.Run(rounds ?? 9, json);
        return 0;
    case "ops":
        return OpReport.Run(text ?? "", rounds ?? 9, json);
    default:
        return OpBenchmarks.Run(text ?? "", artifacts ?? "BenchmarkDotNet.Artifacts");
}
