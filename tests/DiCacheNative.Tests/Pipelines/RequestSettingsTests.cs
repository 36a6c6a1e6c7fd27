using System.Reflection;
using DiCacheNative.Backends;
using DiCacheNative.Sampling;

namespace DiCacheNative.Tests.Pipelines;

public sealed class RequestSettingsTests
{
    private static readonly GenerationRequest s_base = new() { Prompt = "a red circle", Steps = 4, Width = 32, Height = 32, CfgScale = 1, OnStep = _ => { } };

    // One change of every member; a member that is missing here fails the test.
    private static readonly Dictionary<string, Func<GenerationRequest, GenerationRequest>> s_changes = new()
    {
        [nameof(GenerationRequest.Prompt)] = r => r with { Prompt = "a blue star" },
        [nameof(GenerationRequest.NegativePrompt)] = r => r with { NegativePrompt = "a blue star" },
        [nameof(GenerationRequest.Width)] = r => r with { Width = 48 },
        [nameof(GenerationRequest.Height)] = r => r with { Height = 48 },
        [nameof(GenerationRequest.VideoFrames)] = r => r with { VideoFrames = 9 },
        [nameof(GenerationRequest.Steps)] = r => r with { Steps = 5 },
        [nameof(GenerationRequest.SamplingMethod)] = r => r with { SamplingMethod = SamplingMethod.DpmPlusPlus },
        [nameof(GenerationRequest.Seed)] = r => r with { Seed = 43 },
        [nameof(GenerationRequest.Rng)] = r => r with { Rng = RngKind.Philox },
        [nameof(GenerationRequest.BatchCount)] = r => r with { BatchCount = 2 },
        [nameof(GenerationRequest.CfgScale)] = r => r with { CfgScale = 3 },
        [nameof(GenerationRequest.Guidance)] = r => r with { Guidance = 7 },
        [nameof(GenerationRequest.FlowShift)] = r => r with { FlowShift = 9 },
        [nameof(GenerationRequest.Cache)] = r => r with { Cache = CacheOptions.Interval(2) },
        [nameof(GenerationRequest.ProbeForm)] = r => r with { ProbeForm = ProbeForm.Unfused },
        [nameof(GenerationRequest.KeepTrace)] = r => r with { KeepTrace = true },
        [nameof(GenerationRequest.OnStep)] = r => r with { OnStep = _ => throw new ArgumentException("seen") },
    };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("shapes-flux")]
    [InlineData("shapes-wan")]
    public async Task Every_setting_is_used_refused_or_told_to_have_no_effect(string model)
    {
        using Engine engine = Engine.Load(Repository.File("models", model), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationResult plain = await engine.GenerateAsync(s_base, cancellationToken: Cancel);
        Assert.Empty(plain.Notes);
        foreach (string member in typeof(GenerationRequest).GetProperties(BindingFlags.Public | BindingFlags.Instance).Select(p => p.Name))
        {
            Assert.True(s_changes.TryGetValue(member, out Func<GenerationRequest, GenerationRequest>? change), $"the test does not know the setting {member}");
            try
            {
                GenerationResult changed = await engine.GenerateAsync(change(s_base), cancellationToken: Cancel);
                Assert.True(Differ(plain, changed) != (changed.Notes.Count > 0),
                    $"{member}: {(changed.Notes.Count > 0 ? "used and told" : "neither used nor told")}");
            }
            catch (ArgumentException e)
            {
                Assert.False(string.IsNullOrWhiteSpace(e.Message));
            }
        }
    }

    [Theory]
    [InlineData("shapes-flux", "guidance embedding")]
    [InlineData("shapes-wan", "classifier-free")]
    public async Task A_setting_without_effect_is_told_once_to_log_and_result_and_not_reported_as_used(string model, string guidance)
    {
        List<string> log = [];
        using Engine engine = Engine.Load(Repository.File("models", model), new EngineOptions { Backend = BackendKind.Cpu, Log = log.Add });
        GenerationResult result = await engine.GenerateAsync(s_base with { Steps = 1, NegativePrompt = "a blue star", Guidance = 7 },
            cancellationToken: Cancel);
        Assert.Equal(log, result.Notes);
        Assert.Collection(result.Notes, n => Assert.Contains("negative prompt", n, StringComparison.Ordinal), n =>
            Assert.Contains(guidance, n, StringComparison.Ordinal));
        Assert.Null(result.Request.Guidance);
        Assert.Null(result.Request.NegativePrompt);
    }

    [Fact]
    public async Task Seeds_use_all_64_bits_and_those_of_a_batch_go_on_after_the_largest_with_0()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationRequest last = s_base with { Steps = 1, Seed = ulong.MaxValue, Rng = RngKind.Philox };
        GenerationResult both = await engine.GenerateAsync(last with { BatchCount = 2 }, cancellationToken: Cancel);
        Assert.Equal((ulong.MaxValue, ulong.MaxValue, 0UL), (both.Seed, both.SeedOf(0), both.SeedOf(1)));
        Assert.Equal((await engine.GenerateAsync(last, cancellationToken: Cancel)).Images[0].Pixels, both.Images[0].Pixels);
        Assert.Equal((await engine.GenerateAsync(last with { Seed = 0 }, cancellationToken: Cancel)).Images[0].Pixels, both.Images[1].Pixels);
        Assert.NotEqual((await engine.GenerateAsync(last with { Seed = uint.MaxValue }, cancellationToken: Cancel)).Latents,
            both.Latents[..(both.Latents.Length / 2)]);
    }

    private static bool Differ(GenerationResult a, GenerationResult b) =>
        !a.Latents.AsSpan().SequenceEqual(b.Latents) || a.Images.Count != b.Images.Count || a.Trace.Count != b.Trace.Count || a.Request.Steps != b.Request.Steps
        || a.Cache.Skip != b.Cache.Skip;
}
