using System.Text.Json;
using DiCacheNative.Cpu;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.Bench;

/// <summary>
/// Operations against their floor: the longer of operations over the multiply-add peak and bytes over the copy bandwidth, both measured in
/// the same rounds. Small shapes stay in the caches and can pass the bandwidth floor.
/// </summary>
internal static class OpReport
{
    internal static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    internal static int Run(string text, int rounds, bool json)
    {
        OpCase[] cases = [.. OpCases.All.Where(c => c.Name.Contains(text, StringComparison.OrdinalIgnoreCase))];
        if (cases.Length == 0)
        {
            Console.Error.WriteLine($"no case name contains \"{text}\"");
            return 2;
        }

        int threads = Environment.ProcessorCount;
        using CpuBackend backend = new(new CpuBackendOptions { Threads = threads });
        CaseSetup[] setups = [.. cases.Select(_ => new CaseSetup(backend))];
        Action[] calls = [.. cases.Zip(setups, (c, s) => c.Prepare(s))];
        Samples[] seconds = [.. cases.Select(_ => new Samples())];
        Samples peak = new(), bandwidth = new();
        Array.ForEach(calls, call => call());
        for (int round = 0; round < rounds; round++)
        {
            peak.Add(CpuPeak.MeasureGflops(SimdLevel.Auto, threads, milliseconds: 20));
            bandwidth.Add(CpuPeak.MeasureBandwidth(threads, milliseconds: 60));
            for (int i = 0; i < calls.Length; i++)
            {
                seconds[i].Time(calls[i]);
            }
        }

        var rows = cases.Zip(seconds, (c, s) => new
        {
            name = c.Name,
            flops = c.Flops,
            bytes = c.Bytes(DType.F32),
            median_us = Math.Round(s.Median * 1e6, 2),
            min_us = Math.Round(s.Least * 1e6, 2),
            lower_quartile_us = Math.Round(s.LowerQuartile * 1e6, 2),
            upper_quartile_us = Math.Round(s.UpperQuartile * 1e6, 2),
            samples_us = s.Values.Select(v => Math.Round(v * 1e6, 2)),
            gflops_per_s = Math.Round(c.Flops / s.Median * 1e-9, 2),
            gb_per_s = Math.Round(c.Bytes(DType.F32) / s.Median * 1e-9, 2),
            percent_of_floor = Math.Round(100 * Math.Max(c.Flops / (peak.Median * 1e9), c.Bytes(DType.F32) / (bandwidth.Median * 1e9)) / s.Median, 1),
        }).ToArray();
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(
                new
                {
                    device = backend.Description,
                    dtype = "f32",
                    threads,
                    rounds,
                    statistic = "median",
                    peak_gflops_per_s = peak.Median,
                    copy_gb_per_s = bandwidth.Median,
                    results = rows
                }, Indented));
        }
        else
        {
            Console.WriteLine($"{backend.Description}; f32, medians of {rounds}; peak {peak.Median:F1} GFLOP/s, copy {bandwidth.Median:F1} GB/s");
            Console.WriteLine($"{"case",-66} {"us",12} {"quartiles",25} {"GFLOP/s",9} {"GB/s",8} {"of floor",9}");
            foreach (var r in rows)
            {
                Console.WriteLine($"{r.name,-66} {r.median_us,12:F2} {r.lower_quartile_us,12:F2} {r.upper_quartile_us,12:F2} {r.gflops_per_s,9:F1} "
                    + $"{r.gb_per_s,8:F2} {r.percent_of_floor,8:F1}%{(r.percent_of_floor > 105 ? " (in the caches, or noise)" : "")}");
            }
        }

        Array.ForEach(setups, s => s.Dispose());
        return 0;
    }
}
