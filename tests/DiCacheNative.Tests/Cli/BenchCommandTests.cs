using System.Text.Json;

namespace DiCacheNative.Tests.Cli;

/// <summary>What the measuring commands print and refuse; how fast anything is, is no test's business.</summary>
public class BenchCommandTests
{
    [Fact]
    public void Probe_forms_are_measured_and_give_the_same_numbers()
    {
        JsonElement json = Json("bench", "probe", "--preset", "small", "--backend", "cpu", "--rounds", "1", "--json");
        Assert.Equal(("small", "cpu"), (json.GetProperty("preset").GetString(), json.GetProperty("backend").GetString()));
        Assert.True(json.GetProperty("equal").GetBoolean());
        JsonElement[] rows = [.. json.GetProperty("rows").EnumerateArray()];
        Assert.Equal(["unfused", "fused", "epilogue"], rows.Select(r => r.GetProperty("form").GetString()));

        // Feature maps moved per skipped step, times the bytes of one.
        Assert.Equal([48L, 8, 5], rows.Select(r => r.GetProperty("bytes").GetInt64() / (256 * 512 * 4)));
        Assert.True(rows[0].GetProperty("launches").GetInt64() > rows[1].GetProperty("launches").GetInt64());
        Assert.Equal(0, rows[2].GetProperty("launches").GetInt64());
        Assert.All(rows[..2], r => Assert.True(r.GetProperty("median_us").GetDouble() > 0 && r.GetProperty("share_of_limit").GetDouble() > 0));
        Assert.All(rows, r => Assert.True(r.GetProperty("share_of_block").GetDouble() >= r.GetProperty("share_of_step").GetDouble()));
    }

    [Theory]
    [InlineData("flux-small", null)]
    [InlineData("wan-1.3b-480p", "1")]
    public void Steps_of_a_preset_are_measured(string preset, string? frames)
    {
        string[] shape = frames is null ? [] : ["--blocks", "2", "--video-frames", frames];
        JsonElement json = Json(["bench", "model", "--preset", preset, .. shape, "--backend", "cpu", "--rounds", "1", "--json"]);
        foreach (string name in new[] { "full_ms", "resume_ms", "skip_ms", "gemm_only_ms", "gflops_per_s", "cache_efficiency" })
        {
            Assert.True(json.GetProperty(name).GetDouble() > 0, name);
        }

    }

    [Theory]
    [InlineData("wan-14b-720p")]
    [InlineData("hunyuan-720p")]
    public void The_largest_videos_plan_under_80_gigabytes(string preset)
    {
        JsonElement json = Json("inspect", "--preset", preset, "--json");
        long total = json.GetProperty("total_bytes").GetInt64();
        Assert.InRange(total, 20_000_000_000, 80_000_000_000);
        Assert.Equal(total, json.GetProperty("weight_bytes").GetInt64() + json.GetProperty("activation_bytes").GetInt64() + json.GetProperty("cache_bytes").GetInt64());
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

    private static JsonElement Json(params string[] arguments)
    {
        using TemporaryFolder folder = new();
        (int code, string output, string error) = DiCacheProgram.Run(folder.Path, arguments);
        Assert.True(code == 0, error);
        return DiCacheProgram.Json(output);
    }
}
