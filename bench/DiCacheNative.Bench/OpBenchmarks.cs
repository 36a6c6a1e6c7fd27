using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;

namespace DiCacheNative.Bench;

/// <summary>One benchmark per case of <see cref="OpCases"/>, in this process, in a few short iterations, with the bytes it allocates.</summary>
public class OpBenchmarks : IDisposable
{
    private static string _text = "";

    private CpuBackend? _backend;
    private CaseSetup? _setup;
    private Action _call = () => { };

    /// <summary>Cases whose names contain the text.</summary>
    public static IEnumerable<OpCase> Cases => OpCases.All.Where(c => c.Name.Contains(_text, StringComparison.OrdinalIgnoreCase));

    [ParamsSource(nameof(Cases))]
    public OpCase? Case { get; set; }

    [GlobalSetup]
    public void Prepare()
    {
        _backend = new CpuBackend();
        _setup = new CaseSetup(_backend);
        _call = Case!.Prepare(_setup);
    }

    [GlobalCleanup]
    public void Dispose()
    {
        _setup?.Dispose();
        _backend?.Dispose();
        GC.SuppressFinalize(this);
    }

    [Benchmark]
    public void Run() => _call();

    internal static int Run(string text)
    {
        _text = text;
        if (!Cases.Any())
        {
            Console.Error.WriteLine($"no case name contains \"{text}\"");
            return 2;
        }

        Job job = Job.ShortRun.WithToolchain(InProcessNoEmitToolchain.Instance);
        BenchmarkRunner.Run<OpBenchmarks>(DefaultConfig.Instance.AddJob(job).AddDiagnoser(MemoryDiagnoser.Default));
        return 0;
    }
}
