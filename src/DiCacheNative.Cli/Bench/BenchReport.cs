using System.Globalization;
using System.Text.Json.Nodes;
using DiCacheNative.Backends;

namespace DiCacheNative.Cli.Bench;

/// <summary>Prints what was measured, as a table or as one JSON object.</summary>
internal static class BenchReport
{
    private const string NoiseNote = "noise: more than can be on a quiet machine; measure again";

    public static void Print(Terminal terminal, bool json, ModelPreset preset, IBackend backend, ModelTimes t)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["preset"] = preset.Name,
                ["description"] = preset.Description,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["full_ms"] = t.FullMs.ToJson(),
                ["resume_ms"] = t.ResumeMs.ToJson(),
                ["skip_ms"] = t.SkipMs.ToJson(),
                ["gemm_only_ms"] = t.GemmOnlyMs.ToJson(),
                ["gflops_per_s"] = t.GflopsPerS,
                ["cache_efficiency"] = t.CacheEfficiency,
                ["is_noise"] = t.CacheEfficiency > Shares.MostEfficiency,
                ["measured_speed_up"] = t.MeasuredSpeedUp,
                ["ideal_speed_up"] = t.IdealSpeedUp,
                ["schedule"] = Schedule(ModelBenchmark.ScheduleFull, ModelBenchmark.ScheduleResume, ModelBenchmark.ScheduleSkip),
                ["against"] = t.Against,
                ["against_ms"] = t.AgainstMs?.ToJson(),
                ["times_as_fast"] = t.TimesAsFast,
                ["rounds"] = t.Rounds,
                ["discarded"] = t.Discarded,
            });
            return;
        }

        Write(terminal, $"{preset.Name}: {preset.Description}; {backend.Description}");
        Write(terminal, $"{"ms",-14} {"median",10} {"min",10} {"quartiles",21}");
        void Step(string name, Distribution d, string remark) =>
            Write(terminal, $"{name,-14} {d.Median,10:0.0} {d.Least,10:0.0} {d.LowerQuartile,10:0.0} {d.UpperQuartile,10:0.0}   {remark}");
        string OfFull(Distribution d) => string.Create(CultureInfo.InvariantCulture, $"{d.Median / t.FullMs.Median:0.000} of a full step");
        Step("full step", t.FullMs, string.Create(CultureInfo.InvariantCulture, $"{t.GflopsPerS:0} GFLOP/s"));
        Step("resumed step", t.ResumeMs, OfFull(t.ResumeMs));
        Step("skipped step", t.SkipMs, OfFull(t.SkipMs));
        Step("GEMMs alone", t.GemmOnlyMs, OfFull(t.GemmOnlyMs));
        if (t.AgainstMs is { } against)
        {
            Step("against", against, $"full step; {t.Against}");
            Write(terminal, $"{t.TimesAsFast:0.00} times as fast as that (median of the ratios of {t.Rounds} rounds)");
        }

        string schedule = $"{ModelBenchmark.ScheduleFull} full + {ModelBenchmark.ScheduleResume} resumed + {ModelBenchmark.ScheduleSkip} skipped";
        Write(terminal, $"{schedule}: {Efficiency(t.MeasuredSpeedUp, t.IdealSpeedUp)}");
        Write(terminal, $"{t.Rounds} rounds after {t.Discarded} that are not counted");
    }

    public static void Print(Terminal terminal, bool json, string folder, IBackend backend, PipelineTimes t)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["model"] = folder,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["uncached_ms"] = t.UncachedMs.ToJson(),
                ["cached_ms"] = t.CachedMs.ToJson(),
                ["speed_ups"] = t.SpeedUps.ToJson(),
                ["schedule"] = Schedule(t.Full, t.Resume, t.Skip),
                ["measured_speed_up"] = t.MeasuredSpeedUp,
                ["ideal_speed_up"] = t.IdealSpeedUp,
                ["cache_efficiency"] = t.CacheEfficiency,
                ["is_noise"] = t.CacheEfficiency > Shares.MostEfficiency,
                ["rounds"] = t.Rounds,
                ["discarded"] = t.Discarded,
            });
            return;
        }

        Write(terminal, $"{folder}; {backend.Description}");
        string schedule = $"({t.Full} full, {t.Resume} resumed, {t.Skip} skipped)", efficiency = Efficiency(t.MeasuredSpeedUp, t.IdealSpeedUp);
        Write(terminal, $"denoising {t.UncachedMs.Median:0.0} ms without cache, {t.CachedMs.Median:0.0} ms with DiCache {schedule}");
        Write(terminal, $"{efficiency}; quartiles of the speed-up {t.SpeedUps.LowerQuartile:0.00} and {t.SpeedUps.UpperQuartile:0.00}");
        Write(terminal, $"{t.Rounds} pairs after {t.Discarded} that are not counted");
    }

    public static void Print(Terminal terminal, bool json, ProbePreset preset, IBackend backend, ProbeResult r)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["preset"] = preset.Name,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["limits"] = r.Limits,
                ["copy_gb_per_s"] = r.CopyGbPerS,
                ["map_bytes"] = r.MapBytes,
                ["block_ms"] = r.BlockMs,
                ["equal"] = r.Equal,
                ["rounds"] = r.Rounds,
                ["discarded"] = r.Discarded,
                ["rows"] = JsonReport.List(r.Rows, row => new JsonObject
                {
                    ["form"] = row.Form,
                    ["launches"] = row.Launches,
                    ["bytes"] = row.Bytes,
                    ["us"] = row.Us.ToJson(),
                    ["share_of_limit"] = row.ShareOfLimit,
                    ["is_noise"] = row.IsNoise,
                    ["share_of_block"] = row.ShareOfBlock,
                    ["share_of_step"] = row.ShareOfStep,
                }),
            });
            return;
        }

        Write(terminal, $"{preset.Name}: {preset.Tokens} tokens of width {preset.Width}, {r.MapBytes / 1e6:0.0} MB each map; {backend.Description}");
        string numbers = r.Equal ? "equal in all forms" : "DIFFER";
        Write(terminal, $"{r.Limits}; a block {r.BlockMs:0.0} ms (from the rate of a measured block of 1536 tokens); numbers {numbers}");
        Write(terminal, $"{"form",-10} {"launches",8} {"MB",9} {SpreadHead} {"% of limit",10} {"% of block",10} {"% of step",10}");
        foreach (ProbeRow row in r.Rows)
        {
            string limit = Percent(row.ShareOfLimit, row.IsNoise),
                what = string.Create(CultureInfo.InvariantCulture, $"{row.Launches,8} {row.Bytes / 1e6,9:0.0}");
            Write(terminal, $"{row.Form,-10} {what} {Spread(row.Us)} {limit} {100 * row.ShareOfBlock,10:0.000} {100 * row.ShareOfStep,10:0.0000}");
        }

        double faster = r.Rows[0].Us.Median / r.Rows[1].Us.Median;
        Write(terminal, $"fused is {faster:0.0}x faster than unfused; {r.Rounds} rounds after {r.Discarded} that are not counted");
        if (r.Rows.Any(row => row.IsNoise))
        {
            terminal.Write(NoiseNote);
        }
    }

    public static void Print(Terminal terminal, bool json, ProbePreset preset, IBackend backend, KernelResult r)
    {
        if (json)
        {
            terminal.WriteJson(new JsonObject
            {
                ["preset"] = preset.Name,
                ["backend"] = backend.Name,
                ["device"] = backend.Description,
                ["limits"] = r.Limits,
                ["rounds"] = r.Rounds,
                ["discarded"] = r.Discarded,
                ["operations"] = JsonReport.List(r.Operations),
                ["rows"] = JsonReport.List(r.Rows, row => new JsonObject
                {
                    ["kernel"] = row.Kernel,
                    ["shape"] = row.Shape,
                    ["us"] = row.Us.ToJson(),
                    ["flops"] = row.Flops,
                    ["bytes"] = row.Bytes,
                    ["gflops_per_s"] = row.Flops / row.Us.Median / 1000,
                    ["gb_per_s"] = row.Bytes / row.Us.Median / 1000,
                    ["share_of_limit"] = row.ShareOfLimit,
                    ["is_noise"] = row.IsNoise,
                }),
            });
            return;
        }

        int joint = preset.Tokens + preset.ContextTokens;
        Write(terminal, $"{preset.Name}: blocks work on {joint} tokens, the cache on {preset.Tokens} image tokens of them; {backend.Description}");
        Write(terminal, $"{r.Limits}; {r.Rounds} rounds after {r.Discarded} that are not counted");
        Write(terminal, $"{"kernel",-22} {"shape",-34} {SpreadHead} {"GFLOP/s",9} {"GB/s",8} {"% of limit",10}");
        foreach (KernelRow row in r.Rows)
        {
            double gflops = row.Flops / row.Us.Median / 1000, bandwidth = row.Bytes / row.Us.Median / 1000;
            string limit = Percent(row.ShareOfLimit, row.IsNoise);
            Write(terminal, $"{row.Kernel,-22} {row.Shape,-34} {Spread(row.Us)} {gflops,9:0.0} {bandwidth,8:0.0} {limit}");
        }

        if (r.Rows.Any(row => row.IsNoise))
        {
            terminal.Write(NoiseNote);
        }
    }

    private static string SpreadHead => $"{"median us",11} {"min",10} {"quartiles",21}";

    private static string Spread(Distribution d) =>
        string.Create(CultureInfo.InvariantCulture, $"{d.Median,11:0.0} {d.Least,10:0.0} {d.LowerQuartile,10:0.0} {d.UpperQuartile,10:0.0}");

    private static string Efficiency(double measured, double ideal)
    {
        string noise = measured / ideal > Shares.MostEfficiency ? " (over 1: noise)" : string.Empty;
        return string.Create(CultureInfo.InvariantCulture, $"{measured:0.00}x of ideal {ideal:0.00}x, cache efficiency {measured / ideal:0.000}{noise}");
    }

    private static string Percent(double? share, bool noise) => noise ? $"{"noise",10}" : share is { } s
        ? string.Create(CultureInfo.InvariantCulture, $"{100 * s,10:0.0}") : $"{"-",10}";

    private static JsonObject Schedule(int full, int resume, int skip) => new() { ["full"] = full, ["resume"] = resume, ["skip"] = skip };

    private static void Write(Terminal terminal, FormattableString line) => terminal.Write(line.ToString(CultureInfo.InvariantCulture));
}
