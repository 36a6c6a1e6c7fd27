using System.Runtime.InteropServices;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Pipelines;
using DiCacheNative.Sampling;

namespace DiCacheNative.Tests.Pipelines;

public sealed class EngineTests : IDisposable
{
    private readonly List<string> _log = [];
    private readonly Engine _engine;

    public EngineTests() => _engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu, Log = _log.Add });

    public void Dispose() => _engine.Dispose();

    [Fact]
    public async Task DiCache_skips_most_steps_and_changes_the_image_little()
    {
        GenerationRequest request = new() { Prompt = "a red circle left of a blue square", Seed = 1 };
        GenerationResult plain = await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken);
        GenerationResult cached = await _engine.GenerateAsync(request with { Cache = CacheOptions.DiCache() },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(30, plain.Cache.Full);
        Assert.True(cached.Cache.Skip >= 15, $"only {cached.Cache.Skip} steps were skipped");

        // The model's card gives 51.9 dB as the mean of 16 pictures at this threshold.
        Assert.True(Psnr(plain.Images[0], cached.Images[0]) > 40, $"{Psnr(plain.Images[0], cached.Images[0])} dB");
        Assert.Empty(_log);
    }

    [Fact]
    public async Task A_batch_equals_its_images_alone()
    {
        GenerationRequest request = new() { Prompt = "a green star", Steps = 8, Seed = 4, Cache = CacheOptions.DiCache(), BatchCount = 2 };
        GenerationResult both = await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken);
        for (int i = 0; i < 2; i++)
        {
            GenerationResult alone = await _engine.GenerateAsync(request with { BatchCount = 1, Seed = 4 + (ulong)i },
                cancellationToken: TestContext.Current.CancellationToken);
            Assert.Equal(alone.Images[0].Pixels, both.Images[i].Pixels);
        }
    }

    [Fact]
    public async Task Guidance_towards_the_same_prompt_changes_nothing_but_rounding()
    {
        GenerationRequest request = new() { Prompt = "a green star", NegativePrompt = "a green star", Steps = 6, Seed = 4 };
        GenerationResult plain = await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken);
        GenerationResult guided = await _engine.GenerateAsync(request with { CfgScale = 2 }, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(12, guided.Cache.Calls);
        Assert.Equal(plain.Latents, guided.Latents);
    }

    [Fact]
    public async Task A_negative_prompt_matters_only_with_guidance()
    {
        GenerationRequest request = new() { Prompt = "a green star", Steps = 4, Seed = 4 }, negative = request with { NegativePrompt = "a red circle" };
        float[] plain = (await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken)).Latents;
        Assert.Equal(plain, (await _engine.GenerateAsync(negative, cancellationToken: TestContext.Current.CancellationToken)).Latents);
        float[] guided = (await _engine.GenerateAsync(negative with { CfgScale = 2 }, cancellationToken: TestContext.Current.CancellationToken)).Latents;
        Assert.NotEqual(plain, guided);
    }

    [Fact]
    public async Task Progress_names_every_phase_every_step_and_its_decision()
    {
        List<GenerationProgress> seen = [];
        GenerationResult result = await _engine.GenerateAsync(
            new GenerationRequest { Prompt = "a star", Steps = 8, Cache = CacheOptions.Interval(2) }, new Synchronous(seen),
            TestContext.Current.CancellationToken);
        GenerationPhase[] phases = [GenerationPhase.Text, .. Enumerable.Repeat(GenerationPhase.Denoise, 9), GenerationPhase.Decode];
        Assert.Equal(phases, seen.Select(p => p.Phase));
        Assert.Equal([0, .. Enumerable.Range(0, 9), 0], seen.Select(p => p.Step));
        Assert.Equal(result.Cache.Skip, seen.Count(p => p.Step > 0 && p.Decision == StepDecision.Skip));
    }

    [Fact]
    public async Task A_cancelled_generation_throws_and_the_engine_goes_on()
    {
        using CancellationTokenSource source = new();
        GenerationRequest request = new() { Prompt = "a star", Steps = 100, OnStep = s => source.Cancel() };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _engine.GenerateAsync(request, cancellationToken: source.Token));
        GenerationResult next = await _engine.GenerateAsync(request with { Steps = 2, OnStep = null },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Single(next.Images);
    }

    [Fact]
    public async Task A_cache_that_never_engages_is_told()
    {
        await _engine.GenerateAsync(
            new GenerationRequest { Prompt = "a star", Steps = 6, Cache = CacheOptions.DiCache(DiCacheOptions.Default with { Threshold = 0 }) },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Contains("never engaged", Assert.Single(_log), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1.0, 12)]
    [InlineData(0.2, 2)]
    public async Task A_cache_that_may_never_skip_is_told_with_the_reason(double warmUp, int steps)
    {
        GenerationRequest request = new() { Prompt = "a star", Steps = steps, Cache = CacheOptions.DiCache(DiCacheOptions.Default with { RetRatio = warmUp }) };
        GenerationResult result = await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal((steps, 0, true), (result.Cache.Full, result.Cache.Resume, result.Cache.NeverEngaged));
        Assert.Equal(_log, result.Notes);
        Assert.Contains("never engaged: none of the", Assert.Single(_log), StringComparison.Ordinal);
        result = await _engine.GenerateAsync(request with { Cache = CacheOptions.None }, cancellationToken: TestContext.Current.CancellationToken);
        Assert.False(result.Cache.NeverEngaged);
        Assert.Empty(result.Notes);
    }

    [Fact]
    public void A_request_with_members_that_cannot_be_is_refused_before_a_thread_takes_it_up()
    {
        GenerationRequest request = new() { Prompt = "a star", Steps = 1 };
        (GenerationRequest? Request, string Words)[] wrong =
        [
            (null, "request"), (request with { Cache = null! }, "CacheOptions.None"), (request with { Prompt = null! }, "Prompt"),
            (request with { Steps = 0 }, "steps must be between"), (request with { BatchCount = 0 }, "batch must be between"),
            (request with { CfgScale = float.NaN }, "guidance"), (request with { FlowShift = -1 }, "flow shift"),
            (request with { Rng = (RngKind)77 }, "77 is no RngKind"),
        ];
        foreach ((GenerationRequest? given, string words) in wrong)
        {
            Exception refusal = Assert.ThrowsAny<ArgumentException>(() => { _ = _engine.GenerateAsync(given!, cancellationToken: CancellationToken.None); });
            Assert.Contains(words, refusal.Message, StringComparison.Ordinal);
            Exception same = Assert.ThrowsAny<ArgumentException>(() => _engine.Pipeline.Generate(given!, cancellationToken: CancellationToken.None));
            Assert.Equal(refusal.Message, same.Message);
        }
    }

    [Fact]
    public async Task Latents_that_are_no_longer_finite_end_the_generation_at_their_step()
    {
        GenerationRequest request = new()
        {
            Prompt = "a star",
            Steps = 9,
            OnStep = s =>
            {
                if (s.Step == 3 && MemoryMarshal.TryGetArray(s.Latents, out ArraySegment<float> latents))
                {
                    Array.Fill(latents.Array!, float.MaxValue);
                }
            },
        };
        NonFiniteException end = await Assert.ThrowsAsync<NonFiniteException>(
            () => _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken));
        Assert.Contains("after step 5 of 9", end.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Philox_noise_is_another_image()
    {
        GenerationRequest request = new() { Prompt = "a star", Steps = 2 };
        float[] torch = (await _engine.GenerateAsync(request, cancellationToken: TestContext.Current.CancellationToken)).Latents;
        Assert.NotEqual(torch, (await _engine.GenerateAsync(request with { Rng = RngKind.Philox },
            cancellationToken: TestContext.Current.CancellationToken)).Latents);
    }

    [Fact]
    public async Task Other_sizes_run()
    {
        GenerationResult result = await _engine.GenerateAsync(new GenerationRequest { Prompt = "a star", Steps = 1, Width = 64, Height = 96 },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal((64, 96), (result.Images[0].Width, result.Images[0].Height));
    }

    [Fact]
    public void Packing_and_unpacking_are_inverse_and_put_the_channel_first()
    {
        float[] planes = [.. Enumerable.Range(0, 2 * 4 * 6).Select(i => (float)i)], tokens = new float[planes.Length], back = new float[planes.Length];
        LatentPacking.Pack(planes, tokens, 2, 2, 3);
        Assert.Equal([0, 1, 6, 7, 24, 25, 30, 31], tokens.AsSpan(0, 8).ToArray());
        LatentPacking.Unpack(tokens, back, 2, 2, 3);
        Assert.Equal(planes, back);
    }

    private static double Psnr(Image a, Image b)
    {
        double sum = a.Pixels.Zip(b.Pixels, (x, y) => (double)(x - y) * (x - y)).Sum();
        return 10 * Math.Log10(255.0 * 255 * a.Pixels.Length / sum);
    }

    private sealed class Synchronous(List<GenerationProgress> seen) : IProgress<GenerationProgress>
    {
        public void Report(GenerationProgress value) => seen.Add(value);
    }
}
