using DiCacheNative.Caching;

namespace DiCacheNative.Tests.Caching;

public class DiCachePolicyTests
{
    private static readonly LaneState s_warm = new(2, 0, 0);

    [Fact]
    public void Threshold_and_warm_up_go_with_the_metric_unless_they_are_set()
    {
        static (float, double) Pair(DiCacheOptions options) => (options.Threshold, options.RetRatio);
        DiCacheOptions minus = DiCacheOptions.Flux with { Error = ProbeError.DeltaMinus };
        Assert.Equal((0.4f, 0.2), Pair(DiCacheOptions.Flux));
        Assert.Equal((0.08f, 0), Pair(minus));
        Assert.Equal((0.4f, 0.2), Pair(minus with { Error = ProbeError.DeltaY }));
        Assert.Equal((0.3f, 0), Pair(minus with { Threshold = 0.3f }));
        Assert.Equal((0.08f, 0.1), Pair(minus with { RetRatio = 0.1 }));
        Assert.Equal((0.08f, 0.2), Pair(DiCacheOptions.Default with { Error = ProbeError.DeltaMinus }));
        Assert.Equal((0.2f, 0.2), Pair(DiCacheOptions.Default));
        Assert.Equal((0.08f, 0.2), Pair(DiCacheOptions.Wan));
        Assert.Equal((0.1f, 0.2), Pair(DiCacheOptions.Hunyuan));
    }

    [Fact]
    public void The_flux_profile_probes_after_the_step_of_the_ratio_and_never_at_the_last()
    {
        Assert.Equal("FFFFFFFPPPPPPPPPPPPPPPPPPPPPPF", Plans(DiCacheOptions.Flux, 30));
        Assert.Equal("FF", Plans(DiCacheOptions.Flux with { RetRatio = 0 }, 2));
    }

    [Fact]
    public void The_hunyuan_profile_probes_from_the_step_of_the_ratio_to_the_end() =>
        Assert.Equal("FFFFFFFFFFPPPPPPPPPP", Plans(DiCacheOptions.Hunyuan with { RetRatio = 0.5 }, 20));

    [Fact]
    public void The_wan_profile_counts_calls_over_both_branches()
    {
        DiCachePolicy policy = new(DiCacheOptions.Wan with { RetRatio = 0.15 });
        string calls = string.Concat(Enumerable.Range(0, 22).Select(i => Letter(policy.Plan(new StepInfo(i / 2, 11, i % 2, 2, -1, 1), s_warm))));
        Assert.Equal("FFF" + new string('P', 19), calls);
    }

    [Fact]
    public void The_default_profile_needs_two_computed_steps_whatever_the_ratio()
    {
        DiCachePolicy policy = new(DiCacheOptions.Default with { RetRatio = 0 });
        Assert.Equal(CacheAction.Full, policy.Plan(new StepInfo(1, 30, 0, 1, 0, 1), new LaneState(1, 0, 0)).Action);
        Assert.Equal(CacheAction.Probe, policy.Plan(new StepInfo(2, 30, 0, 1, 0, 1), s_warm).Action);
    }

    [Theory]
    [InlineData(0.25f, 0.25f, 0.5f, false)]
    [InlineData(0.25f, 0.125f, 0.5f, true)]
    public void Skips_while_the_accumulated_error_stays_below_the_threshold(float accumulated, float change, float threshold, bool skips)
    {
        CacheVerdict verdict = new DiCachePolicy(DiCacheOptions.Flux with { Threshold = threshold }).Decide(default, new ProbeChange(0, change),
            new LaneState(2, accumulated, 1));
        Assert.Equal(skips, verdict.Skip);
        Assert.Equal(accumulated + change, verdict.Accumulated);
    }

    [Fact]
    public void Equality_with_the_threshold_skips_in_the_hunyuan_profile_only()
    {
        ProbeChange change = new(0, 0.5f);
        Assert.True(new DiCachePolicy(DiCacheOptions.Hunyuan with { Threshold = 0.5f }).Decide(default, change, s_warm).Skip);
        Assert.False(new DiCachePolicy(DiCacheOptions.Wan with { Threshold = 0.5f }).Decide(default, change, s_warm).Skip);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_change_that_is_not_finite_is_computed_even_under_a_huge_threshold(float change)
    {
        foreach (DiCacheOptions profile in new[] { DiCacheOptions.Default, DiCacheOptions.Flux, DiCacheOptions.Wan, DiCacheOptions.Hunyuan })
        {
            Assert.False(new DiCachePolicy(profile with { Threshold = float.MaxValue }).Decide(default, new ProbeChange(0, change), s_warm).Skip);
        }
    }

    [Fact]
    public void An_undefined_gamma_is_computed_by_default_and_skipped_by_the_published_profiles()
    {
        ProbeChange change = new(0, 0.01f, float.NaN);
        Assert.False(new DiCachePolicy().Decide(default, change, s_warm).Skip);
        Assert.True(new DiCachePolicy(DiCacheOptions.Flux).Decide(default, change, s_warm).Skip);
    }

    [Fact]
    public void Delta_minus_is_the_distance_between_both_changes()
    {
        DiCachePolicy policy = new(DiCacheOptions.Flux with { Error = ProbeError.DeltaMinus, Threshold = 0.08f });
        Assert.True(policy.NeedsInputChange);
        Assert.Equal(0.25f, policy.Decide(default, new ProbeChange(0.5f, 0.25f), s_warm).Error);
    }

    [Fact]
    public void Settings_out_of_range_are_refused()
    {
        foreach (DiCacheOptions options in new[]
                 {
                     DiCacheOptions.Default with { Threshold = -1 }, DiCacheOptions.Default with { Threshold = float.NaN },
                         DiCacheOptions.Default with { ProbeDepth = 0 },
                     DiCacheOptions.Default with { RetRatio = -0.1 }, DiCacheOptions.Default with { GammaMin = 2 },
                     DiCacheOptions.Wan with { Error = ProbeError.DeltaMinus },
                 })
        {
            Assert.Throws<ArgumentException>(() => new DiCachePolicy(options));
        }
    }

    [Fact]
    public void A_trace_keeps_every_value_including_those_that_json_lacks()
    {
        CacheTraceRow row = new()
        {
            Step = 3,
            Branch = 1,
            Sample = -1,
            Sigma = 0.123456789f,
            DeltaX = float.NaN,
            DeltaY = float.PositiveInfinity,
            Error = 1e-30f,
            Accumulated = 0.1f,
            Decision = StepDecision.Resume,
            GammaRaw = null,
            Gamma = null,
            Microseconds = 12.5,
        };
        using TemporaryFolder folder = new();
        using (StreamWriter writer = File.CreateText(folder.File("t.jsonl")))
        {
            CacheTrace.Write(writer, [row]);
        }

        Assert.Equal(row, Assert.Single(CacheTrace.Read(folder.File("t.jsonl"))));
        Assert.StartsWith("{\"step\":3,\"branch\":1,\"sample\":-1,\"sigma\":0.12345679,\"delta_x\":\"NaN\"", File.ReadAllText(folder.File("t.jsonl")),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"step\": 1}")]
    [InlineData("not json")]
    [InlineData("null")]
    public void A_trace_that_is_none_names_file_and_line(string line)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("t.jsonl"), line);
        Assert.Contains("line 1 of the cache trace", Assert.Throws<ModelFormatException>(() => CacheTrace.Read(folder.File("t.jsonl"))).Message,
            StringComparison.Ordinal);
    }

    private static string Plans(DiCacheOptions options, int steps)
    {
        DiCachePolicy policy = new(options);
        return string.Concat(Enumerable.Range(0, steps).Select(i => Letter(policy.Plan(new StepInfo(i, steps, 0, 1, -1, 1), s_warm))));
    }

    private static char Letter(CachePlan plan) => plan.Action == CacheAction.Probe ? 'P' : 'F';
}
