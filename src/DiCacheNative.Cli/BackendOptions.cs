using System.CommandLine;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli;

/// <summary>The options --backend and --threads.</summary>
internal sealed class BackendOptions
{
    private readonly Option<string> _backend = new("--backend") { Description = "auto, cpu, cuda or cuda-host", DefaultValueFactory = _ => "auto" };
    private readonly Option<int> _threads = new("--threads", "-t") { Description = "CPU threads; 0 for all cores", DefaultValueFactory = _ => 0 };

    public BackendOptions(Command command)
    {
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
    }

    public BackendKind Kind(ParseResult result) => result.GetValue(_backend) switch
    {
        "cpu" => BackendKind.Cpu,
        "cuda" => BackendKind.Cuda,
        "cuda-host" => BackendKind.CudaHost,
        _ => BackendKind.Auto,
    };

    public int Threads(ParseResult result) => result.GetValue(_threads);

    public IBackend Create(ParseResult result) => BackendFactory.Create(Kind(result), Threads(result));
}
