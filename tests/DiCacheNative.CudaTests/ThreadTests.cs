using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;
using DiCacheNative.Tests;
using DiCacheNative.Tests.HostDriver;
using DiCacheNative.Tests.Models;

namespace DiCacheNative.Cuda.Tests;

/// <summary>
/// One generation on several threads, one after the other, each with a stream of its own. The host driver runs work as late as it may, or
/// (with a seed) mixes the streams kernel by kernel: what nobody waited for is missing, or comes in the wrong order.
/// </summary>
[Collection(HostCollection.Name)]
public sealed class ThreadTests : IDisposable
{
    private const int Steps = TinyFlux.Steps;

    private HostDriverLibrary? _library;

    // Seed 0 stands for as late as possible.
    public static TheoryData<string, string, long> Hops()
    {
        TheoryData<string, string, long> data = [];
        foreach (string family in (string[])["flux", "wan", "hunyuan"])
        {
            for (long seed = 0; seed < 4; seed++)
            {
                data.Add(HostBackends.Normal, family, seed);
            }

            data.Add(HostBackends.Race, family, 0);
            data.Add(HostBackends.Race, family, 1);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Hops))]
    public void Loading_conditions_begin_and_every_step_may_be_on_different_threads(string library, string family, long seed)
    {
        CudaBackend backend = Backend(library, seed);
        using Relay threads = new(5);

        float[] alone = Generate(backend, family, (_, action) => action());
        int turn = 0;
        float[] hopping = Generate(backend, family, (_, action) => threads.Run(turn++, action));

        Assert.All(alone, v => Assert.True(float.IsFinite(v)));
        Assert.Equal(alone, hopping);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void What_a_cancelled_step_had_issued_does_not_run_beside_the_next_generation(long seed)
    {
        CudaBackend backend = Backend(HostBackends.Normal, seed);
        using Relay threads = new(2);
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config);
        using FluxProgram program = model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        float[] alone;
        using (DiTSession first = new(program, Policy()))
        {
            alone = TinyFlux.Run(first, TinyFlux.Latents(1));
        }

        for (int round = 0; round < 4; round++)
        {
            using DiTSession session = new(program, Policy());
            threads.Run(0, () =>
            {
                program.Cancellation = new CancellationToken(canceled: true);
                Assert.Throws<OperationCanceledException>(() => TinyFlux.Run(session, TinyFlux.Latents(2)));
                program.Cancellation = default;
            });

            Assert.Equal(alone, threads.Run(1, () => TinyFlux.Run(session, TinyFlux.Latents(1))));
        }
    }

    public void Dispose()
    {
        Assert.Equal("", _library?.Findings() ?? "");
        _library?.Option("interleave", 0);
        _library?.Option("seed", 0);
    }

    private static DiCachePolicy Policy() => new(DiCacheOptions.Default with { Threshold = 0.6f });

    private static float[] Generate(CudaBackend backend, string family, Action<string, Action> on)
    {
        List<IDisposable> made = [];
        T Made<T>(T value)
            where T : IDisposable
        {
            made.Add(value);
            return value;
        }

        DiTProgram program = null!;
        switch (family)
        {
            case "flux":
                FluxModel flux = null!;
                FluxProgram ofFlux = null!;
                on("load", () => flux = Made(FluxModel.Random(backend, TinyFlux.Config)));
                on("program", () => program = ofFlux = Made(flux.CreateProgram(TinyFlux.Shape())));
                on("conditions", () => TinyFlux.Condition(ofFlux, 0, 1));
                break;
            case "wan":
                WanModel wan = null!;
                WanProgram ofWan = null!;
                on("load", () => wan = Made(WanModel.Load(backend, Repository.File("tests", "golden", "wan-tiny", "t2v", "original"))));
                on("program", () => program = ofWan = Made(wan.CreateProgram(new WanShape(new LatentSize(2, 6, 4)) { MaxSteps = Steps })));
                on("conditions", () => ofWan.SetConditions(0, new WanConditions { Text = TinyFlux.Noise(1, 7 * 40) }));
                break;
            default:
                HunyuanModel hunyuan = null!;
                HunyuanProgram ofHunyuan = null!;
                on("load", () => hunyuan = Made(HunyuanModel.Load(backend, Repository.File("tests", "golden", "hunyuan-tiny", "original"))));
                on("program", () => program = ofHunyuan = Made(hunyuan.CreateProgram(new HunyuanShape(new LatentSize(2, 6, 4), 8, MaxSteps: Steps))));
                on("conditions", () => ofHunyuan.SetConditions(0,
                    new HunyuanConditions { Text = TinyFlux.Noise(1, 8 * 40), ValidTokens = 5, Pooled = TinyFlux.Noise(2, 24) }));
                break;
        }

        DiTSession session = null!;
        float[] latents = [], velocity = [], sigmas = TinyFlux.Sigmas();
        on("session", () => session = Made(new DiTSession(program, Policy())));
        on("begin", () =>
        {
            latents = TinyFlux.Noise(3, (int)program.Input.Count);
            velocity = new float[latents.Length];
            session.Begin(sigmas);
        });
        for (int i = 0; i < Steps; i++)
        {
            on("step", () =>
            {
                session.Step(latents, sigmas[i], 0, velocity);
                for (int k = 0; k < latents.Length; k++)
                {
                    latents[k] -= velocity[k] / Steps;
                }
            });
        }

        made.Reverse();
        on("dispose", () => made.ForEach(m => m.Dispose()));
        return latents;
    }

    private CudaBackend Backend(string library, long seed)
    {
        _library = HostBackends.Library(library);
        CudaBackend backend = HostBackends.Get(library, CudaPrecision.F32);
        _library.Option("seed", seed);
        _library.Option("interleave", seed == 0 ? 0 : 1);
        return backend;
    }
}
