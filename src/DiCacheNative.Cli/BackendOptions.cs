using System.CommandLine;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli;

/// <summary>The options --backend and --threads.</summary>
internal sealed class BackendOptions
{
    private readonly Option<string> _backend = new("--backend") { Description = "auto, cpu, cuda or cuda-host", DefaultValueFactory = _ => "auto" };
    private readonly Option<int> _threads = new("--threads", "-t") { Description = "CPU threads; 0 for all cores", DefaultValueFactory = _ => 0 };

    private readonly Option<string> _precision = new("--precision") { Description = "auto, f32 or bf16", DefaultValueFactory = _ => "auto" };

    public BackendOptions(Command command)
    {
        _precision.AcceptOnlyFromAmong("auto", "f32", "bf16");
        _backend.AcceptOnlyFromAmong("auto", "cpu", "cuda", "cuda-host");
        _threads.Validators.Add(r =>
        {
            if (r.GetValueOrDefault<int>() is < 0 or > 1024)
            {
                r.AddError("--threads must be between 0 and 1024");
            }
        });
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

    public int Threads(ParseResult result) => result.GetValue(_threads);

    public BackendPrecision Precision(ParseResult result) => result.GetValue(_precision) switch
    {
        "f32" => BackendPrecision.F32,
        "bf16" => BackendPrecision.BF16,
        _ => BackendPrecision.Auto,
    };

    public IBackend Create(ParseResult result) => BackendFactory.Create(Kind(result), Threads(result), Precision(result));
}
