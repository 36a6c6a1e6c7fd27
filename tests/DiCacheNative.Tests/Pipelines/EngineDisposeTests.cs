using DiCacheNative.Cpu;
using DiCacheNative.Models.Flux;

namespace DiCacheNative.Tests.Pipelines;

/// <summary>Dispose of an engine that works, and calls after it. Where this fails, the process may die of it.</summary>
public sealed class EngineDisposeTests
{
    private static readonly GenerationRequest s_long = new() { Prompt = "a green star", Steps = 200 };

    [Fact]
    public async Task Disposing_ends_running_generations_and_waits_for_them()
    {
        Engine engine = Load();
        using CountdownEvent running = new(3);
        bool[] counted = new bool[3];
        Task<GenerationResult>[] tasks = [.. Enumerable.Range(0, 3).Select(i => engine.GenerateAsync(
            s_long with
            {
                Seed = (ulong)i,
                OnStep = _ =>
                {
                    if (!counted[i])
                    {
                        counted[i] = true;
                        running.Signal();
                    }
                },
            },
            cancellationToken: CancellationToken.None))];
        running.Wait(TestContext.Current.CancellationToken);
        engine.Dispose();
        Assert.All(tasks, t => Assert.NotEqual(TaskStatus.Running, t.Status));
        foreach (Task<GenerationResult> task in tasks)
        {
            Assert.Equal(nameof(Engine), (await Assert.ThrowsAsync<ObjectDisposedException>(() => task)).ObjectName);
        }

        engine.Dispose();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task Disposing_from_inside_a_callback_ends_the_generation_and_does_not_wait_for_it(int how)
    {
        Engine engine = Load();
        GenerationRequest request = s_long with
        {
            OnStep = _ =>
            {
                switch (how)
                {
                    case 0:
                        engine.Dispose();
                        break;
                    case 1:
                        engine.DisposeAsync().AsTask().Wait();
                        break;
                    default:
                        Task.Run(engine.Dispose).Wait();
                        break;
                }
            },
        };
        await RefusedAsync(engine, request);
        await engine.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => engine.Backend.CreateArena(1, "a test"));
    }

    [Fact]
    public async Task Disposing_asynchronously_frees_when_the_last_generation_has_ended()
    {
        Engine engine = Load();
        using ManualResetEventSlim inside = new(), release = new();
        Task<GenerationResult> task = engine.GenerateAsync(
            s_long with
            {
                OnStep = _ =>
                {
                    inside.Set();
                    release.Wait(TestContext.Current.CancellationToken);
                },
            },
            cancellationToken: CancellationToken.None);
        inside.Wait(TestContext.Current.CancellationToken);
        Task disposed = engine.DisposeAsync().AsTask();
        Assert.False(disposed.IsCompleted);
        engine.Backend.CreateArena(1, "a test").Dispose();
        Assert.Throws<ObjectDisposedException>(() => { _ = engine.GenerateAsync(s_long, cancellationToken: CancellationToken.None); });
        release.Set();
        await disposed;
        await Assert.ThrowsAsync<ObjectDisposedException>(() => task);
        Assert.Throws<ObjectDisposedException>(() => engine.Backend.CreateArena(1, "a test"));
    }

    [Fact]
    public async Task Everything_is_refused_after_dispose_and_names_the_public_type()
    {
        Engine engine = Load();
        FluxPipeline pipeline = (FluxPipeline)engine.Pipeline;
        using FluxProgram program = pipeline.Transformer.CreateProgram(new FluxShape(1, 4, 4, 24, 1, 1));
        engine.Dispose();
        await using (engine)
        {
            await RefusedAsync(engine, s_long);
        }

        (string Owner, Action Call)[] calls =
        [
            (nameof(FluxPipeline), () => pipeline.Generate(s_long)),
            (nameof(FluxPipeline), () => pipeline.EncodePrompt("a star")),
            (nameof(FluxPipeline), () => pipeline.Decode(new float[16 * pipeline.Transformer.Config.InChannels], 1, 4, 4)),
            (nameof(FluxModel), () => pipeline.Transformer.CreateProgram(new FluxShape(1, 4, 4, 24, 1, 1))),
            (nameof(FluxModel), () => program.SetTimesteps([1f])),
            (nameof(CpuBackend), engine.Backend.Synchronize),
            (nameof(CpuBackend), () => engine.Backend.Record("a test", () => { })),
        ];
        Assert.All(calls, c => Assert.Equal(c.Owner, Assert.Throws<ObjectDisposedException>(c.Call).ObjectName));
        Assert.NotEmpty(pipeline.Tokenize("a star").States.Ids);
    }

    [Fact]
    public async Task A_pipeline_used_alone_ends_its_calls_in_the_same_way()
    {
        using CpuBackend backend = new();
        FluxPipeline pipeline = FluxPipeline.Load(backend, Repository.File("models", "shapes-flux"), new EngineOptions());
        using ManualResetEventSlim inside = new();
        GenerationRequest request = s_long with { OnStep = _ => inside.Set() };
        Task task = Task.Run(() => pipeline.Generate(request, cancellationToken: CancellationToken.None), TestContext.Current.CancellationToken);
        inside.Wait(TestContext.Current.CancellationToken);
        await pipeline.DisposeAsync();
        Assert.Equal(nameof(FluxPipeline), (await Assert.ThrowsAsync<ObjectDisposedException>(() => task)).ObjectName);
        Assert.Throws<ObjectDisposedException>(() => pipeline.EncodePrompt("a star", TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Everything_of_a_video_engine_is_refused_after_dispose()
    {
        Engine engine = Engine.Load(Repository.File("models", "shapes-wan"), new EngineOptions { Backend = BackendKind.Cpu });
        WanPipeline pipeline = (WanPipeline)engine.Pipeline;
        await engine.DisposeAsync();
        Action[] calls = [() => pipeline.Generate(s_long), () => pipeline.EncodePrompt("a star"), () => pipeline.Decode(new float[16 * 4], new(1, 2, 2))];
        Assert.All(calls, call => Assert.Equal(nameof(WanPipeline), Assert.Throws<ObjectDisposedException>(call).ObjectName));
    }

    [Fact]
    public async Task A_cancelled_generation_carries_the_token_of_the_caller()
    {
        using Engine engine = Load();
        using CancellationTokenSource source = new();
        OperationCanceledException end = await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => engine.GenerateAsync(s_long with { OnStep = _ => source.Cancel() }, cancellationToken: source.Token));
        Assert.Equal(source.Token, end.CancellationToken);
        end = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.GenerateAsync(s_long, cancellationToken: source.Token));
        Assert.Equal(source.Token, end.CancellationToken);
    }

    private static async Task RefusedAsync(Engine engine, GenerationRequest request)
    {
        ObjectDisposedException refusal = await Assert.ThrowsAsync<ObjectDisposedException>(
            () => engine.GenerateAsync(request, cancellationToken: CancellationToken.None));
        Assert.Equal(nameof(Engine), refusal.ObjectName);
    }

    private static Engine Load() => Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu });
}
