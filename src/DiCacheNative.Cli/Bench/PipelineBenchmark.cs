using DiCacheNative.Caching;

namespace DiCacheNative.Cli.Bench;

/// <summary>Whole generations with a real model, with and without DiCache, in turn in one run.</summary>
internal static class PipelineBenchmark
{
    /// <summary>Measures the denoising time of a prompt.</summary>
    /// <param name="engine">The loaded model.</param>
    /// <param name="steps">Sampling steps.</param>
    /// <param name="options">Settings of DiCache.</param>
    /// <param name="rounds">Pairs of generations counted; one pair more comes first.</param>
    /// <param name="cancel">Ends the run between blocks.</param>
    public static async Task<PipelineTimes> RunAsync(Engine engine, int steps, DiCacheOptions options, int rounds, CancellationToken cancel)
    {
        GenerationRequest plain = new() { Prompt = "a red circle left of a blue square", Seed = 1, Steps = steps }, cached = plain with { Cache = CacheOptions.DiCache(options) };
        List<double> ratios = [], plainMs = [], cachedMs = [];
        GenerationResult? last = null;
        for (int round = 0; round <= rounds; round++)
        {
            GenerationResult a = await engine.GenerateAsync(plain, cancellationToken: cancel), b = await engine.GenerateAsync(cached, cancellationToken: cancel);
            if (round > 0)
            {
                plainMs.Add(a.Times.Denoise);
                cachedMs.Add(b.Times.Denoise);
                ratios.Add(a.Times.Denoise / b.Times.Denoise);
                last = b;
            }
        }

        double measured = Statistics.Median(ratios), ideal = last!.Flops.IdealSpeedUp(last.Cache.Full + last.Cache.Resume, last.Cache.Skip);
        return new PipelineTimes(
            Statistics.Median(plainMs), Statistics.Median(cachedMs), last.Cache.Full, last.Cache.Resume, last.Cache.Skip, measured, ideal, rounds);
    }
}
