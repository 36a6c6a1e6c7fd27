using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;

namespace DiCacheNative.Tests.Pipelines;

/// <summary>The examples of README.md.</summary>
public class ReadmeExampleTests
{
    [Fact]
    public async Task An_image_in_ten_lines()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Auto });
        GenerationResult result = await engine.GenerateAsync(
            new GenerationRequest
            {
                Prompt = "a green star",
                Steps = 30,
                Seed = 42,
                Cache = CacheOptions.DiCache(),
            },
            cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(30, result.Cache.Full + result.Cache.Resume + result.Cache.Skip);
        Assert.True(result.Cache.Skip > 0 && result.Times.Denoise > 0);
    }

    [Fact]
    public void A_sampler_of_ones_own()
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"));
        FluxPipeline pipeline = Assert.IsType<FluxPipeline>(engine.Pipeline);
        (float[] pooled, float[] states, int tokens) = pipeline.EncodePrompt("a green star", TestContext.Current.CancellationToken);
        float[] sigmas = [1f, 0.75f, 0.5f, 0.25f], latents = pipeline.Noise(new GenerationRequest { Prompt = "" }, 1, 8, 8), velocity = new float[latents.Length];

        using FluxProgram program = pipeline.Transformer.CreateProgram(new FluxShape(Batch: 1, GridHeight: 8, GridWidth: 8, TextTokens: tokens, MaxSteps: sigmas.Length));
        program.SetConditions(slot: 0, states, pooled, guidance: []);
        using DiTSession session = new(program, CacheOptions.DiCache(DiCacheOptions.Default with { Threshold = 10 }));
        session.Begin(sigmas);
        List<StepDecision> decisions = [];
        for (int i = 0; i < sigmas.Length; i++)
        {
            decisions.Add(session.Step(latents, sigmas[i], branch: 0, velocity));
            for (int k = 0; k < latents.Length; k++)
            {
                latents[k] -= 0.25f * velocity[k];
            }
        }

        Assert.Equal([StepDecision.Full, StepDecision.Full, StepDecision.Skip, StepDecision.Full], decisions);
        Assert.All(latents, v => Assert.True(float.IsFinite(v)));
    }
}
