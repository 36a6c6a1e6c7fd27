using System.Runtime.CompilerServices;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Models;

/// <summary>Sessions, programs and models whose owner is gone, or that two threads use at once.</summary>
public sealed class OwnershipTests : IDisposable
{
    private readonly CpuBackend _backend = new(new CpuBackendOptions { Threads = 1 });
    private readonly FluxModel _model;
    private readonly FluxProgram _program;

    public OwnershipTests()
    {
        _model = FluxModel.Random(_backend, TinyFlux.Config, seed: 3);
        _program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(_program, 0, 1);
    }

    public void Dispose()
    {
        _program.Dispose();
        _model.Dispose();
        _backend.Dispose();
    }

    public static TheoryData<string> Owners => [nameof(DiTSession), nameof(FluxProgram), nameof(FluxModel), nameof(CpuBackend)];

    [Theory]
    [MemberData(nameof(Owners))]
    public void A_session_is_refused_once_it_or_what_it_stands_on_is_disposed(string owner)
    {
        using DiTSession session = new(_program, new DiCachePolicy());
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length];
        session.Begin(TinyFlux.Sigmas());
        session.Step(latents, 1f, 0, velocity);
        Dispose(owner, session);
        Array.Fill(velocity, 5f);
        Assert.Equal(owner, Assert.Throws<ObjectDisposedException>(() => session.Step(latents, 0.9f, 0, velocity)).ObjectName);
        Assert.All(velocity, v => Assert.Equal(5f, v));
        Assert.Equal(owner, Assert.Throws<ObjectDisposedException>(() => session.Begin(TinyFlux.Sigmas())).ObjectName);
    }

    [Theory]
    [InlineData(nameof(FluxProgram))]
    [InlineData(nameof(FluxModel))]
    public void Every_part_of_a_program_is_refused_once_it_or_its_model_is_disposed(string owner)
    {
        using Arena arena = _backend.CreateArena(1 << 16, "a test");
        FeatureShape f = _program.Features;
        Tensor x = arena.Allocate(f.Type, f.Batch, f.Tokens, f.Width), p = arena.Allocate(f.Type, f.Batch, f.Tokens, f.Width);
        Dispose(owner, null);
        Action[] calls =
        [
            () => TinyFlux.Condition(_program, 0, 1), () => _program.SetTimesteps([1f]), () => _program.Select(0, 0), () => _program.Embed(x),
            () => _program.Probe(1, x, p, default), () => _program.Body(1, x, p, default), () => _program.Head(),
            () => _program.AlignedHead(new BlendInputs(x, p), ProbeForm.Fused),
        ];
        Assert.All(calls, call => Assert.Equal(owner, Assert.Throws<ObjectDisposedException>(call).ObjectName));
    }

    [Fact]
    public void A_disposed_model_lays_out_no_programs()
    {
        _model.Dispose();
        Assert.Equal(nameof(FluxModel), Assert.Throws<ObjectDisposedException>(() => _model.CreateProgram(TinyFlux.Shape())).ObjectName);
    }

    [Fact]
    public void A_second_thread_in_a_session_or_its_program_is_refused_and_harms_nothing()
    {
        float[] expected = TinyFlux.RunAlone(_backend, _model, NoCachePolicy.Instance, 1, out _);
        OnceInside policy = new();
        using DiTSession session = new(_program, policy), other = new(_program, NoCachePolicy.Instance);
        List<Exception?> seen = [];
        float[] latents = TinyFlux.Latents(1);
        policy.Action = () => OnAnotherThread(() =>
        {
            seen.Add(Record.Exception(() => session.Step(latents, 1f, 0, new float[latents.Length])));
            seen.Add(Record.Exception(() => session.Begin([1f])));
            seen.Add(Record.Exception(() => other.Begin([1f])));
            seen.Add(Record.Exception(() => _program.Head()));
        });
        Assert.Equal(expected, TinyFlux.Run(session, latents));
        Assert.Equal(4, seen.Count);
        Assert.All(seen, e => Assert.Contains("in use on another thread", Assert.IsType<InvalidOperationException>(e).Message, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Owners))]
    public void What_is_disposed_during_a_step_on_another_thread_is_freed_after_it(string owner)
    {
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length];
        OnceInside policy = new();
        using DiTSession session = new(_program, policy);
        session.Begin(TinyFlux.Sigmas());
        policy.Action = () => OnAnotherThread(() => Dispose(owner, session));

        // A session is only asked for at the beginning of a step; the others at each part of it.
        Exception? seen = Record.Exception(() => session.Step(latents, 1f, 0, velocity));
        Assert.True(owner == nameof(DiTSession) ? seen is null : seen is ObjectDisposedException e && e.ObjectName == owner, $"{seen}");
        Assert.Equal(owner, Assert.Throws<ObjectDisposedException>(() => session.Begin(TinyFlux.Sigmas())).ObjectName);
    }

    [Fact]
    public void A_session_may_move_from_thread_to_thread()
    {
        float[] expected = TinyFlux.RunAlone(_backend, _model, NoCachePolicy.Instance, 1, out _);
        using DiTSession session = new(_program, NoCachePolicy.Instance);
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length], sigmas = TinyFlux.Sigmas();
        session.Begin(sigmas);
        foreach (float sigma in sigmas)
        {
            OnAnotherThread(() => session.Step(latents, sigma, 0, velocity));
            for (int i = 0; i < latents.Length; i++)
            {
                latents[i] -= velocity[i] / sigmas.Length;
            }
        }

        Assert.Equal(expected, latents);
    }

    [Fact]
    public void A_tensor_keeps_its_arena_from_being_collected_and_without_one_it_goes()
    {
        WeakReference arena = UseAfterCollection();
        for (int i = 0; i < 10 && arena.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        Assert.False(arena.IsAlive);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private WeakReference UseAfterCollection()
    {
        (Tensor tensor, WeakReference arena) = Made();
        GC.Collect();
        GC.WaitForPendingFinalizers();
        Assert.True(arena.IsAlive);
        float[] values = new float[64];
        _backend.Download(tensor, values);
        Assert.All(values, v => Assert.Equal(3f, v));
        return arena;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private (Tensor Tensor, WeakReference Arena) Made()
    {
        Arena arena = _backend.CreateArena(1024, "a test");
        Tensor tensor = arena.Allocate(DType.F32, 1, 1, 64);
        float[] values = new float[64];
        Array.Fill(values, 3f);
        _backend.Upload(values, tensor);
        return (tensor, new WeakReference(arena));
    }

    private void Dispose(string owner, DiTSession? session)
    {
        IDisposable disposed = owner switch
        {
            nameof(DiTSession) => session!,
            nameof(FluxProgram) => _program,
            nameof(FluxModel) => _model,
            _ => _backend,
        };
        disposed.Dispose();
        disposed.Dispose();
    }

    private static void OnAnotherThread(Action action)
    {
        Exception? seen = null;
        Thread thread = new(() => seen = Record.Exception(action));
        thread.Start();
        thread.Join();
        Assert.Null(seen);
    }

    /// <summary>Computes every step, and does something in the middle of the first.</summary>
    private sealed class OnceInside : ICachePolicy
    {
        public Action? Action { get; set; }

        public string Name => "once inside";

        public int ProbeDepth => 0;

        public bool NeedsInputChange => false;

        public CacheReuse Reuse => CacheReuse.ReuseResidual;

        public (float Min, float Max) GammaRange => (1, 1);

        public DecisionScope Scope => DecisionScope.Batch;

        public bool KeepsStaleProbe(int probeBlocks) => false;

        public CachePlan Plan(in StepInfo step, in LaneState lane)
        {
            (Action? action, Action) = (Action, null);
            action?.Invoke();
            return new CachePlan(CacheAction.Full);
        }

        public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => default;
    }
}
