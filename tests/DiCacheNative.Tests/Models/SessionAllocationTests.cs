using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;

namespace DiCacheNative.Tests.Models;

/// <summary>Allocations are counted over the whole process, so nothing may run beside this.</summary>
[CollectionDefinition(nameof(SessionAllocationTests), DisableParallelization = true)]
[Collection(nameof(SessionAllocationTests))]
public class SessionAllocationTests
{
    [Fact]
    public void Steps_of_FLUX_allocate_nothing_once_every_kind_of_step_has_run()
    {
        using CpuBackend backend = new();
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config, seed: 3);
        using FluxProgram program = model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        AssertAllocatesNothing(program, 0.6f);
    }

    [Fact]
    public void Steps_of_WAN_allocate_nothing_once_every_kind_of_step_has_run()
    {
        using CpuBackend backend = new();
        using WanModel model = WanModel.Load(backend, Repository.File("tests", "golden", "wan-tiny", "i2v", "original"));
        using WanProgram program = model.CreateProgram(new WanShape([new(1, 4, 6),
            new(2, 4, 4)])
        { ImageTokens = 5, TextTokens = 9, MaxSteps = TinyFlux.Steps });
        WanConditions Sample(int positions) =>
            new() { Text = TinyFlux.Noise(1, 3 * 24), Image = TinyFlux.Noise(2, 5 * 36), Latents = TinyFlux.Noise(3, 8 * positions) };
        program.SetConditions(0, Sample(24), Sample(32));
        AssertAllocatesNothing(program, 0.6f);
    }

    [Fact]
    public void Steps_of_HunyuanVideo_allocate_nothing_once_every_kind_of_step_has_run()
    {
        using CpuBackend backend = new();
        using HunyuanModel model = HunyuanModel.Load(backend, Repository.File("tests", "golden", "hunyuan-tiny", "original"));
        using HunyuanProgram program = model.CreateProgram(new HunyuanShape(new LatentSize(2, 4, 6), 8, Batch: 2, MaxSteps: TinyFlux.Steps));
        HunyuanConditions Sample(int valid) => new() { Text = TinyFlux.Noise(1, 8 * 40), ValidTokens = valid, Pooled = TinyFlux.Noise(2, 24) };
        program.SetConditions(0, Sample(8), Sample(3));
        AssertAllocatesNothing(program, 0.6f);
    }

    // On the calling thread and all that work for it.
    private static void AssertAllocatesNothing(DiTProgram program, float threshold)
    {
        DiCachePolicy policy =
            new(DiCacheOptions.Default with { Threshold = threshold, Scope = program.Batch > 1 ? DecisionScope.Batch : DecisionScope.Sample });
        using DiTSession session = new(program, policy, new SessionOptions { Samples = program.Batch });
        float[] start = TinyFlux.Noise(4, (int)program.Input.Count), latents = [.. start], velocity = new float[start.Length], sigmas = TinyFlux.Sigmas();
        for (int run = 0; run < 3; run++)
        {
            session.Begin(sigmas);
            start.CopyTo(latents, 0);
            long before = GC.GetTotalAllocatedBytes(precise: true);
            foreach (float sigma in sigmas)
            {
                session.Step(latents, sigma, 0, velocity);
                for (int i = 0; i < latents.Length; i++)
                {
                    latents[i] -= velocity[i] / sigmas.Length;
                }
            }

            long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
            Assert.True(run < 2 || allocated == 0, $"{allocated} bytes were allocated");
        }

        Assert.True(session.Stats is { Full: > 0, Skip: > 0, Resume: > 0 },
            $"{session.Stats.Full} full, {session.Stats.Resume} resumed, {session.Stats.Skip} skipped steps: one kind is missing");
    }
}
