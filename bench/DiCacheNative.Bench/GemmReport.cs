using System.Text.Json;
using DiCacheNative.Cpu;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.OpTests.Cases;

namespace DiCacheNative.Bench;

/// <summary>
/// Matrix products and attention as a share of the multiply-add peak. Everything, the peak included, is measured once per round in turn, so
/// that a change of clock or of neighbours meets all alike; medians over the rounds are reported.
/// </summary>
internal static class GemmReport
{
    private static readonly string[] CaseNames =
    [
        "linear 512x3072x3072", "linear 512x3072x3072 BF16 weight", "linear 1024x2048x512 GeluTanh", "linear 1024x512x2048", "linear 16x3072x3072",
        "linear 1x3072x3072 Silu", "attention 1x24x128 1536x1536 Columns",
    ];

    internal static void Run(int rounds, bool json)
    {
        int all = Environment.ProcessorCount;
        int[] threadCounts = all == 1 ? [1] : [1, all];
        List<Row> rows = [];
        Dictionary<int, Samples> peaks = threadCounts.ToDictionary(t => t, _ => new Samples());
        List<IDisposable> owned = [];
        foreach (int threads in threadCounts)
        {
            foreach ((string engine, CpuBackendOptions options) in Engines(threads))
            {
                CpuBackend backend = new(options);
                owned.Add(backend);
                foreach (OpCase test in CaseNames.Select(OpCases.Named).Where(c => engine == "managed" || c.Operation == "linear"))
                {
                    CaseSetup setup = new(backend);
                    owned.Add(setup);
                    rows.Add(new Row(test, engine, threads, test.Prepare(setup), new Samples()));
                }
            }
        }

        foreach (Row row in rows)
        {
            row.Call();
        }

        for (int round = 0; round < rounds; round++)
        {
            foreach (int threads in threadCounts)
            {
                peaks[threads].Add(CpuPeak.MeasureGflops(SimdLevel.Auto, threads, milliseconds: 30));
            }

            foreach (Row row in rows)
            {
                row.Seconds.Time(row.Call);
            }
        }

        Print(rows, peaks, rounds, json);
        owned.Reverse();
        owned.ForEach(o => o.Dispose());
    }

    private static IEnumerable<(string Name, CpuBackendOptions Options)> Engines(int threads)
    {
        yield return ("managed", new CpuBackendOptions { Threads = threads, Gemm = GemmEngine.Managed });
        if (OneDnn.Library.IsAvailable)
        {
            yield return ("onednn", new CpuBackendOptions { Threads = threads, Gemm = GemmEngine.OneDnn });
        }

        if (OneDnn.Library.HasBf16)
        {
            yield return ("onednn bf16", new CpuBackendOptions { Threads = threads, Gemm = GemmEngine.OneDnn, Precision = CpuPrecision.Bf16 });
        }
    }

    private static void Print(List<Row> rows, Dictionary<int, Samples> peaks, int rounds, bool json)
    {
        using CpuBackend backend = new();
        if (json)
        {
            object report = new
            {
                device = backend.Description,
                dtype = "f32",
                rounds,
                statistic = "median",
                peak = peaks.Select(p => new { threads = p.Key, gflops_per_s = Math.Round(p.Value.Median, 1) }),
                results = rows.Select(r => new
                {
                    name = r.Case.Name,
                    engine = r.Engine,
                    threads = r.Threads,
                    flops = r.Case.Flops,
                    median_ms = Math.Round(r.Seconds.Median * 1e3, 4),
                    best_ms = Math.Round(r.Seconds.Least * 1e3, 4),
                    lower_quartile_ms = Math.Round(r.Seconds.LowerQuartile * 1e3, 4),
                    upper_quartile_ms = Math.Round(r.Seconds.UpperQuartile * 1e3, 4),
                    samples_ms = r.Seconds.Values.Select(v => Math.Round(v * 1e3, 4)),
                    gflops_per_s = Math.Round(r.Rate, 1),
                    percent_of_peak = Math.Round(100 * r.Rate / peaks[r.Threads].Median, 1),
                }),
            };
            Console.WriteLine(JsonSerializer.Serialize(report, OpReport.Indented));
            return;
        }

        Console.WriteLine($"{backend.Description}; f32, medians of {rounds} rounds (best in brackets)");
        foreach ((int threads, Samples peak) in peaks)
        {
            Console.WriteLine($"multiply-add peak, {threads} thread(s): {peak.Median:F1} ({peak.Largest:F1}) GFLOP/s");
        }

        Console.WriteLine($"{"case",-42} {"engine",-12} {"threads",7} {"ms",10} {"GFLOP/s",9} {"of peak",8}");
        foreach (Row r in rows)
        {
            double peak = peaks[r.Threads].Median;
            Console.WriteLine(
                $"{r.Case.Name,-42} {r.Engine,-12} {r.Threads,7} {r.Seconds.Median * 1e3,10:F3} {r.Rate,9:F1} {r.Rate / peak,8:P1} "
                    + $"({r.Case.Flops / r.Seconds.Least * 1e-9:F1})");
        }
    }

    private sealed record Row(OpCase Case, string Engine, int Threads, Action Call, Samples Seconds)
    {
        internal double Rate => Case.Flops / Seconds.Median * 1e-9;
    }
}
