using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;

namespace DiCacheNative.Tests.Models;

/// <summary>Generations of different models on one backend and several threads.</summary>
public sealed class ConcurrentGenerationTests : IDisposable
{
    private const int Rounds = 5;

    private static readonly DiCacheOptions s_mixed = DiCacheOptions.Default with { Threshold = 0.6f };

    private readonly CpuBackend _backend = new(new CpuBackendOptions { Threads = 2 });
    private readonly FluxModel _flux;
    private readonly WanModel _wan;
    private readonly HunyuanModel _hunyuan;

    public ConcurrentGenerationTests()
    {
        _flux = FluxModel.Random(_backend, TinyFlux.Config);
        _wan = WanModel.Load(_backend, Repository.File("tests", "golden", "wan-tiny", "t2v", "original"));
        _hunyuan = HunyuanModel.Load(_backend, Repository.File("tests", "golden", "hunyuan-tiny", "original"));
    }

    [Fact]
    public void Generations_at_the_same_time_equal_the_same_alone_bit_for_bit()
    {
        Func<float[]>[] generations = [Flux, Wan, Hunyuan];
        float[][] alone = [.. generations.Select(g => g())];
        for (int round = 0; round < Rounds; round++)
        {
            float[][] together = new float[generations.Length][];
            Thread[] threads = [.. generations.Select((g, i) => new Thread(() => together[i] = g()))];
            Array.ForEach(threads, t => t.Start());
            Array.ForEach(threads, t => t.Join());
            Assert.Equal(alone, together);
        }
    }

    public void Dispose()
    {
        _flux.Dispose();
        _wan.Dispose();
        _hunyuan.Dispose();
        _backend.Dispose();
    }

    private float[] Flux() => TinyFlux.RunAlone(_backend, _flux, new DiCachePolicy(s_mixed), 1, out _);

    private float[] Wan()
    {
        using WanProgram program = _wan.CreateProgram(new WanShape(new LatentSize(2, 6, 4)) { Slots = 2, MaxSteps = TinyFlux.Steps });
        program.SetConditions(0, new WanConditions { Text = TinyFlux.Noise(1, 7 * 40) });
        program.SetConditions(1, new WanConditions { Text = TinyFlux.Noise(2, 3 * 40) });
        using DiTSession session = new(program, new DiCachePolicy(s_mixed), new SessionOptions { Branches = 2 });
        return TinyFlux.Run(session, TinyFlux.Noise(3, (int)program.Input.Count), branches: 2);
    }

    private float[] Hunyuan()
    {
        using HunyuanProgram program = _hunyuan.CreateProgram(new HunyuanShape(new LatentSize(2, 6, 4), 8, MaxSteps: TinyFlux.Steps));
        program.SetConditions(0, new HunyuanConditions { Text = TinyFlux.Noise(1, 8 * 40), ValidTokens = 5, Pooled = TinyFlux.Noise(2, 24) });
        using DiTSession session = new(program, new DiCachePolicy(s_mixed));
        return TinyFlux.Run(session, TinyFlux.Noise(3, (int)program.Input.Count));
    }
}
