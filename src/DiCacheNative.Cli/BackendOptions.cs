using System.CommandLine;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli;

/// <summary>The options --backend, --threads and --precision.</summary>
internal sealed class BackendOptions
{
    private const int MostThreads = 1024;

    private readonly Option<string> _backend = Opt.Choice(
        "--backend", "where the transformer runs", ["auto", "cpu", "cuda", "cuda-host"], "auto");
    private readonly Option<int?> _threads = Opt.Whole("--threads", ["-t"], "CPU threads; 0 for all cores", 0, MostThreads, 0);
    private readonly Option<string> _precision = Opt.Choice(
        "--precision", "in what the transformer computes; auto: f32 on the CPU, bf16 on a GPU", ["auto", "f32", "bf16"], "auto");

    public BackendOptions(Command command)
    {
        command.Options.Add(_backend);
        command.Options.Add(_threads);
        command.Options.Add(_precision);
    }

    public BackendKind Kind(ParseResult result) => result.GetValue(_backend) switch
    {
        "cpu" => BackendKind.Cpu,
        "cuda" => BackendKind.Cuda,
        "cuda-host" => BackendKind.CudaHost,
        _ => BackendKind.Auto,
    };

    public int Threads(ParseResult result) => result.GetValue(_threads) ?? 0;

    public BackendPrecision Precision(ParseResult result) => PrecisionOf(result.GetValue(_precision)!);

    /// <summary>The precision of a word.</summary>
    public static BackendPrecision PrecisionOf(string word) => word switch
    {
        "f32" => BackendPrecision.F32,
        "bf16" => BackendPrecision.BF16,
        _ => BackendPrecision.Auto,
    };

    /// <summary>Precision as it was asked for.</summary>
    public string PrecisionName(ParseResult result) => result.GetValue(_precision)!;

    /// <summary>Makes the backend, and tells when a number of threads has no effect on it.</summary>
    /// <param name="result">The command line.</param>
    /// <param name="terminal">Where it is told.</param>
    /// <param name="precision">Another precision than the one asked for; null for that.</param>
    public IBackend Create(ParseResult result, Terminal terminal, BackendPrecision? precision = null)
    {
        IBackend backend = BackendFactory.Create(Kind(result), Threads(result), precision ?? Precision(result));
        if (result.Given(_threads) && backend.Name != "cpu")
        {
            terminal.Note($"--threads has no effect on the backend {backend.Name}");
        }

        return backend;
    }
}
