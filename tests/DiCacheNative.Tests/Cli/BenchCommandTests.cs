using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Cli.Bench;
using DiCacheNative.Cpu;

namespace DiCacheNative.Tests.Cli;

/// <summary>What the measuring commands print and refuse; how fast anything is, is no test's business.</summary>
public class BenchCommandTests
{
    [Fact]
    public void Probe_forms_are_measured_and_give_the_same_numbers()
    {
        JsonElement json = Json("bench", "probe", "--preset", "small", "--backend", "cpu", "--rounds", "2", "--json");
        Assert.Equal(("small", "cpu"), (json.GetProperty("preset").GetString(), json.GetProperty("backend").GetString()));
        Assert.True(json.GetProperty("equal").GetBoolean());
        JsonElement[] rows = [.. json.GetProperty("rows").EnumerateArray()];
        Assert.Equal(["unfused", "fused", "epilogue"], rows.Select(r => r.GetProperty("form").GetString()));
        Assert.True(rows[0].GetProperty("launches").GetInt64() > rows[1].GetProperty("launches").GetInt64());
        Assert.Equal(0, rows[2].GetProperty("launches").GetInt64());
        Assert.All(rows, r => Spread(r.GetProperty("us"), 2));
        Assert.All(rows, r => Assert.True(r.GetProperty("share_of_block").GetDouble() >= r.GetProperty("share_of_step").GetDouble()
            || r.GetProperty("is_noise").GetBoolean()));
    }

    // Counted from the operands that a backend gets, whatever the benchmark means to give it.
    [Fact]
    public void The_maps_of_each_probe_form_are_those_that_the_backend_gets()
    {
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 1 });
        using DeviceLimits limits = new(backend, threads: 1);
        ProbePreset preset = ProbePreset.Find("small");
        ProbeResult result = ProbeBenchmark.Run(backend, preset, limits, new Rounds(1, _ => { }, CancellationToken.None));
        Assert.Equal(preset.Tokens * preset.Width * sizeof(float), result.MapBytes);

        // Unfused p, p', x, x', r1, r2; x, R1, R2, and writes h. Fused without x' and r1. The epilogue has p and the map of the norm anyway.
        Assert.Equal([10L, 8, 5], result.Rows.Select(r => r.Bytes / result.MapBytes));
    }

    [Fact]
    public void Every_operation_of_a_backend_is_timed()
    {
        using CpuBackend backend = new(new CpuBackendOptions { Threads = 1 });
        using DeviceLimits limits = new(backend, threads: 1);
        KernelResult result = KernelBenchmark.Run(backend, ProbePreset.Find("small"), limits, new Rounds(1, _ => { }, CancellationToken.None));
        string[] notOperations = [nameof(IBackend.CreateArena), nameof(IBackend.CreateLinear), nameof(IBackend.Upload), nameof(IBackend.Download),
            nameof(IBackend.Synchronize), nameof(IBackend.Record)];
        IEnumerable<string> operations = typeof(IBackend).GetMethods().Where(m => !m.IsSpecialName).Select(m => m.Name).Distinct().Except(notOperations);
        Assert.Equal(operations.Order(StringComparer.Ordinal), result.Operations.Order(StringComparer.Ordinal));

        // A copy is held against the memory, not against itself; bytes and operations are those of the shapes.
        long map = 320L * 512 * sizeof(float);
        KernelRow Row(string name) => result.Rows.Single(r => r.Kernel == name);
        Assert.NotNull(Row("activate").ShareOfLimit);
        Assert.Equal(2 * map, Row("activate").Bytes);
        Assert.Equal(2.0 * 320 * 512 * 512, Row("linear").Flops);
        Assert.Equal(4.0 * 320 * 320 * 512, Row("attention").Flops);
        Assert.InRange(Row("gated_residual+norm").Bytes, 4 * map, (4 * map) + (4 * 512 * sizeof(float)));
        Assert.Equal(4L * 256 * 512 * sizeof(float), Row("trajectory_blend").Bytes - sizeof(float));
    }

    [Fact]
    public void A_report_of_kernels_has_every_sample_and_flags_what_cannot_be()
    {
        JsonElement json = Json("bench", "kernels", "--preset", "small", "--backend", "cpu", "--rounds", "3", "--json");
        Assert.Contains("copy", json.GetProperty("limits").GetString(), StringComparison.Ordinal);
        Assert.All(json.GetProperty("rows").EnumerateArray(), row =>
        {
            Spread(row.GetProperty("us"), 3);
            Assert.Equal(row.GetProperty("share_of_limit").GetDouble() > 1.05, row.GetProperty("is_noise").GetBoolean());
        });
    }

    [Theory]
    [InlineData("flux-small", null)]
    [InlineData("wan-1.3b-480p", "1")]
    public void Steps_of_a_preset_are_measured(string preset, string? frames)
    {
        string[] shape = frames is null ? ["--against", "bf16"] : ["--blocks", "2", "--video-frames", frames];
        JsonElement json = Json(["bench", "model", "--preset", preset, .. shape, "--backend", "cpu", "--precision", "f32", "--rounds", "1", "--json"]);
        foreach (string name in new[] { "full_ms", "resume_ms", "skip_ms", "gemm_only_ms" })
        {
            Spread(json.GetProperty(name), 1);
        }

        Assert.True(json.GetProperty("gflops_per_s").GetDouble() > 0 && json.GetProperty("cache_efficiency").GetDouble() > 0);
        Assert.Equal(1, json.GetProperty("discarded").GetInt32());
        Assert.Equal(frames is null, json.GetProperty("times_as_fast").ValueKind == JsonValueKind.Number);
        Assert.Equal(frames is null, json.GetProperty("against").GetString()?.Contains("bf16 matrix products", StringComparison.Ordinal) == true);
    }

    [Fact]
    public void A_spread_is_that_of_its_samples()
    {
        Distribution even = new([4, 1, 3, 2]), one = new([7]);
        Assert.Equal((2.5, 1, 1.75, 3.25, 4), (even.Median, even.Least, even.LowerQuartile, even.UpperQuartile, even.Largest));
        Assert.Equal((7, 7, 7, 7), (one.Median, one.Least, one.LowerQuartile, one.UpperQuartile));
        Assert.Equal([4, 1, 3, 2], even.Samples);
    }

    [Fact]
    public void Rounds_are_discarded_until_nothing_is_new_and_no_longer()
    {
        List<bool> kept = [];
        Rounds rounds = new(2, _ => { }, CancellationToken.None);
        rounds.Run(kept.Add, warm: () => kept.Count >= 3);
        Assert.Equal([false, false, false, true, true], kept);
        Assert.Equal((2, 3), (rounds.Counted, rounds.Discarded));

        // And if that never comes, some time it is enough.
        Rounds never = new(1, _ => { }, CancellationToken.None);
        never.Run(_ => { }, warm: () => false);
        Assert.Equal((1, Rounds.MostDiscarded), (never.Counted, never.Discarded));
    }

    [Theory]
    [InlineData("wan-14b-720p")]
    [InlineData("hunyuan-720p")]
    public void The_largest_videos_plan_under_80_gigabytes(string preset)
    {
        JsonElement json = Json("inspect", "--preset", preset, "--json");
        long total = json.GetProperty("total_bytes").GetInt64();
        Assert.InRange(total, 20_000_000_000, 80_000_000_000);
        Assert.Equal(total, json.GetProperty("weight_bytes").GetInt64() + json.GetProperty("activation_bytes").GetInt64()
            + json.GetProperty("cache_bytes").GetInt64());
    }

    [Fact]
    public async Task The_plan_of_flux_is_that_of_the_released_model()
    {
        (int code, string output, string error) = await CommandRun.Async("inspect", "--preset", "flux-1024", "--json");
        Assert.True(code == 0, error);
        JsonElement json = DiCacheProgram.Json(output);
        Assert.InRange(json.GetProperty("parameters").GetInt64(), 11_800_000_000, 12_000_000_000);
        Assert.InRange(json.GetProperty("weight_bytes").GetInt64(), 23_600_000_000, 24_000_000_000);
        Assert.InRange(json.GetProperty("activation_bytes").GetInt64(), 100_000_000, 1_000_000_000);
    }

    [Theory]
    [InlineData("--preset takes flux-slice, flux-1024,", "bench", "model", "--preset", "flux-9")]
    [InlineData("either --preset or --model", "bench", "model")]
    [InlineData("--blocks takes a whole number from 2", "bench", "model", "--preset", "flux-1024", "--blocks", "1")]
    [InlineData("--rounds takes a whole number from 1", "bench", "probe", "--rounds", "0")]
    [InlineData("--blocks has no meaning with --model", "bench", "model", "-m", "m", "--blocks", "3")]
    [InlineData("--steps has no meaning with --preset", "bench", "model", "--preset", "flux-small", "--steps", "3")]
    [InlineData("--video-frames has no meaning with flux-small", "bench", "model", "--preset", "flux-small", "--video-frames", "5")]
    [InlineData("6 frames of 1280x720 is not possible", "inspect", "--preset", "wan-14b-720p", "--video-frames", "6")]
    [InlineData("80 frames of 1280x720 is not possible", "inspect", "--preset", "hunyuan-720p", "--video-frames", "80")]
    [InlineData("--video-frames takes a whole number from 1 to 4097", "inspect", "--preset", "wan-14b-720p", "--video-frames", "2000001")]
    [InlineData("--video-frames takes a whole number from 1 to 4097", "bench", "model", "--preset", "wan-1.3b-480p", "--video-frames", "2147483645")]
    public async Task Wrong_options_are_refused(string sentence, params string[] arguments)
    {
        (int code, string _, string error) = await CommandRun.Async(arguments);
        Assert.Equal(2, code);
        Assert.Contains(sentence, error, StringComparison.Ordinal);
    }

    private static void Spread(JsonElement json, int count)
    {
        double[] samples = [.. json.GetProperty("samples").EnumerateArray().Select(s => s.GetDouble())];
        Assert.Equal((count, count), (samples.Length, json.GetProperty("n").GetInt32()));
        Assert.Equal(samples.Min(), json.GetProperty("min").GetDouble());
        Assert.InRange(json.GetProperty("median").GetDouble(), json.GetProperty("lower_quartile").GetDouble(), json.GetProperty("upper_quartile").GetDouble());
    }

    private static JsonElement Json(params string[] arguments)
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(folder.Path, arguments);
        Assert.True(code == 0, error);
        return DiCacheProgram.Json(output);
    }
}
