using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Csv;
using BenchmarkDotNet.Exporters.Json;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.NoEmit;
using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.Bench;

/// <summary>One benchmark per case of <see cref="OpCases"/>, in this process, with the bytes it allocates.</summary>
public class OpBenchmarks : IDisposable
{
    // Names of cases are up to 70 letters long, and are what tells them apart.
    private const int NameWidth = 100;

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

    internal static int Run(string text, string artifacts)
    {
        _text = text;
        if (!Cases.Any())
        {
            Console.Error.WriteLine($"no case name contains \"{text}\"");
            return 2;
        }

        int threads = Environment.ProcessorCount;
        double gflops = CpuPeak.MeasureGflops(SimdLevel.Auto, threads, milliseconds: 200), bandwidth = CpuPeak.MeasureBandwidth(threads, milliseconds: 200);
        ManualConfig config = ManualConfig.CreateEmpty()
            .AddJob(Job.ShortRun.WithToolchain(InProcessNoEmitToolchain.Instance))
            .AddLogger(ConsoleLogger.Default)
            .AddDiagnoser(MemoryDiagnoser.Default)
            .AddColumnProvider(DefaultColumnProviders.Instance)
            .AddColumn(
                new RateColumn("GB/s", "Bytes of the operands over the mean", (c, ns) => c.Bytes(DType.F32) / ns),
                new RateColumn("GFLOP/s", "Operations over the mean", (c, ns) => c.Flops / ns),
                new RateColumn(
                    "% of peak", FormattableString.Invariant(
                        $"Of {gflops:F1} GFLOP/s and {bandwidth:F1} GB/s, measured before; small shapes stay in the caches and can pass it"),
                    (c, ns) => 100 * Math.Max(c.Flops / gflops, c.Bytes(DType.F32) / bandwidth) / ns))
            .AddExporter(MarkdownExporter.GitHub, CsvExporter.Default, JsonExporter.Full)
            .WithSummaryStyle(SummaryStyle.Default.WithMaxParameterColumnWidth(NameWidth))
            .WithArtifactsPath(artifacts);
        Summary summary = BenchmarkRunner.Run<OpBenchmarks>(config);
        return summary.HasCriticalValidationErrors || summary.Reports.Any(r => !r.Success) ? 1 : 0;
    }

    /// <summary>A column that a case and its mean time give.</summary>
    private sealed class RateColumn(string name, string legend, Func<OpCase, double, double> rate) : IColumn
    {
        public string Id => name;

        public string ColumnName => name;

        public bool AlwaysShow => true;

        public ColumnCategory Category => ColumnCategory.Custom;

        public int PriorityInCategory => 0;

        public bool IsNumeric => true;

        public UnitType UnitType => UnitType.Dimensionless;

        public string Legend => legend;

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase) => GetValue(summary, benchmarkCase, summary.Style);

        public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
            summary[benchmarkCase]?.ResultStatistics is { } statistics && benchmarkCase.Parameters["Case"] is OpCase test
                ? rate(test, statistics.Mean).ToString("F1", System.Globalization.CultureInfo.InvariantCulture) : "-";

        public bool IsAvailable(Summary summary) => true;

        public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
    }
}
