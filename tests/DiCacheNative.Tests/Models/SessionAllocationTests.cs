using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;

namespace DiCacheNative.Tests.Models;

/// <summary>Allocations are counted over the whole process, so nothing may run beside this.</summary>
[CollectionDefinition(nameof(SessionAllocationTests), DisableParallelization = true)]
[Collection(nameof(SessionAllocationTests))]
public class SessionAllocationTests
{
    [Fact]
    public void Steps_allocate_nothing_once_every_kind_of_step_has_run()
    {
        using CpuBackend backend = new();
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config, seed: 3);
        using FluxProgram program = model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession session = new(program, new DiCachePolicy(DiCacheOptions.Default with { Threshold = 0.6f }));
        float[] start = TinyFlux.Latents(1), velocity = new float[start.Length], sigmas = TinyFlux.Sigmas();
        for (int run = 0; run < 3; run++)
        {
            session.Begin(sigmas);
            long before = GC.GetTotalAllocatedBytes(precise: true);
            foreach (float sigma in sigmas)
            {
                session.Step(start, sigma, 0, velocity);
            }

            long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
            Assert.True(run < 2 || allocated == 0, $"{allocated} bytes were allocated");
        }
    }
}
