using DiCacheNative.Bench;

// gemm [--json] [--rounds N]            matrix products against the measured peak, 1 and all threads, interleaved
// ops  [TEXT] [--json] [--rounds N]     operations whose case name contains TEXT, against the floor of each
// bdn  [TEXT]                           the same cases under BenchmarkDotNet
string mode = args.Length > 0 ? args[0] : "";
string text = args.Length > 1 && !args[1].StartsWith('-') ? args[1] : "";
bool json = args.Contains("--json");
int at = Array.IndexOf(args, "--rounds");
int rounds = 9;
if (at >= 0 && (at + 1 >= args.Length || !int.TryParse(args[at + 1], out rounds) || rounds < 1))
{
    Console.Error.WriteLine("--rounds needs a number of at least 1");
    return 2;
}

switch (mode)
{
    case "gemm":
        GemmReport.Run(rounds, json);
        return 0;
    case "ops":
        return OpReport.Run(text, rounds, json);
    case "bdn":
        return OpBenchmarks.Run(text);
    default:
        Console.Error.WriteLine("usage: DiCacheNative.Bench gemm | ops [TEXT] | bdn [TEXT]   [--json] [--rounds N]");
        return 2;
}
