using DiCacheNative.Caching;

namespace DiCacheNative.Cli.Bench;

/// <summary>Whole generations with a real model, with and without DiCache, in turn in one run.</summary>
internal static class PipelineBenchmark
{
    /// <summary>Measures the denoising time of a prompt.</summary>
    /// <param name="engine">The loaded model.</param>
    /// <param name="steps">Sampling steps.</param>
    /// <param name="options">Settings of DiCache.</param>
    /// <param name="rounds">How many pairs of generations.</param>
    public static PipelineTimes Run(Engine engine, int steps, DiCacheOptions options, Rounds rounds)
    {
        GenerationRequest plain = new() { Prompt = "a red circle left of a blue square", Seed = 1, Steps = steps },
            cached = plain with { Cache = CacheOptions.DiCache(options) };
        List<double> ratios = [], plainMs = [], cachedMs = [];
        GenerationResult? last = null;
        rounds.Run(keep =>
        {
            GenerationResult a = Generate(plain), b = Generate(cached);
            if (keep)
            {
                plainMs.Add(a.Times.Denoise);
                cachedMs.Add(b.Times.Denoise);
                ratios.Add(a.Times.Denoise / b.Times.Denoise);
                last = b;
            }
        });
        return new PipelineTimes(
            new Distribution(plainMs), new Distribution(cachedMs), new Distribution(ratios), last!.Cache.Full, last.Cache.Resume, last.Cache.Skip,
            last.Flops.IdealSpeedUp(last.Cache.Full + last.Cache.Resume, last.Cache.Skip), rounds.Counted, rounds.Discarded);

        GenerationResult Generate(GenerationRequest request) => engine.GenerateAsync(request, cancellationToken: rounds.Cancel).GetAwaiter().GetResult();
    }
}
