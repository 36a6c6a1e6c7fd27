using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;

namespace DiCacheNative.Tests.Models;

public sealed class DiTSessionTests : IDisposable
{
    // Chosen so that full, resumed and skipped steps all occur.
    private static readonly DiCacheOptions s_mixed = DiCacheOptions.Default with { Threshold = 0.6f };

    private readonly CpuBackend _backend = new();
    private readonly FluxModel _model;

    public DiTSessionTests() => _model = FluxModel.Random(_backend, TinyFlux.Config, seed: 3);

    public void Dispose()
    {
        _model.Dispose();
        _backend.Dispose();
    }

    [Fact]
    public void The_mixed_settings_of_these_tests_lead_to_all_three_decisions()
    {
        _ = TinyFlux.RunAlone(_backend, _model, new DiCachePolicy(s_mixed), 1, out string decisions);
        Assert.Contains('F', decisions);
        Assert.Contains('R', decisions);
        Assert.Contains('s', decisions);
    }

    [Fact]
    public void A_threshold_of_zero_computes_every_step_and_changes_no_bit()
    {
        float[] plain = TinyFlux.RunAlone(_backend, _model, NoCachePolicy.Instance, 1, out _);
        float[] cached = TinyFlux.RunAlone(_backend, _model, new DiCachePolicy(s_mixed with { Threshold = 0 }), 1, out string decisions);
        Assert.Equal(plain, cached);
        Assert.Equal("FFRRRRRRRF", decisions);
    }

    [Theory]
    [InlineData(ProbeForm.Unfused)]
    [InlineData(ProbeForm.Fused)]
    public void All_forms_of_the_probe_give_the_same_latents_bit_for_bit(ProbeForm form)
    {
        float[] With(ProbeForm f)
        {
            using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
            TinyFlux.Condition(program, 0, 1);
            using DiTSession session = new(program, new DiCachePolicy(s_mixed), new SessionOptions { ProbeForm = f });
            return TinyFlux.Run(session, TinyFlux.Latents(1));
        }

        Assert.Equal(With(ProbeForm.Epilogue), With(form));
    }

    [Fact]
    public void A_session_begun_again_repeats_itself_bit_for_bit()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession session = new(program, new DiCachePolicy(s_mixed));
        float[] first = TinyFlux.Run(session, TinyFlux.Latents(1));
        _ = TinyFlux.Run(session, TinyFlux.Latents(9));
        Assert.Equal(first, TinyFlux.Run(session, TinyFlux.Latents(1)));
    }

    [Fact]
    public void A_replayed_trace_gives_the_same_latents_without_any_probe()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession recorded = new(program, new DiCachePolicy(s_mixed), new SessionOptions { KeepTrace = true });
        float[] expected = TinyFlux.Run(recorded, TinyFlux.Latents(1));
        using StringWriter text = new();
        CacheTrace.Write(text, recorded.Trace);
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("trace.jsonl"), text.ToString());
        using DiTSession replayed = new(program, new ReplayPolicy(CacheTrace.Read(folder.File("trace.jsonl"))));
        Assert.Equal(expected, TinyFlux.Run(replayed, TinyFlux.Latents(1)));
        Assert.Equal(0, replayed.Stats.Resume);
        Assert.Equal(recorded.Stats.Skip, replayed.Stats.Skip);
    }

    [Fact]
    public void Samples_of_a_batch_decide_for_themselves_and_equal_the_same_samples_alone()
    {
        DiCachePolicy policy = new(s_mixed);
        float[] a = TinyFlux.RunAlone(_backend, _model, policy, 1, out string first), b = TinyFlux.RunAlone(_backend, _model, policy, 5, out string second);
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape(slots: 2));
        TinyFlux.Condition(program, 0, 1);
        TinyFlux.Condition(program, 1, 5);
        using DiTSession session = new(program, policy, new SessionOptions { Samples = 2, KeepTrace = true });
        float[] both = TinyFlux.Run(session, TinyFlux.Latents(1, 5));
        Assert.Equal([.. a, .. b], both);
        Assert.Equal(first, TinyFlux.Decisions(session.Trace.Where(r => r.Sample == 0)));
        Assert.Equal(second, TinyFlux.Decisions(session.Trace.Where(r => r.Sample == 1)));
    }

    [Fact]
    public void One_decision_for_the_batch_follows_the_mean_over_all_samples()
    {
        DiCachePolicy policy = new(DiCacheOptions.Flux with { Threshold = 0.6f });
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape(batch: 2));
        TinyFlux.Condition(program, 0, 1, 1);
        using DiTSession session = new(program, policy, new SessionOptions { Samples = 2, KeepTrace = true });
        float[] both = TinyFlux.Run(session, TinyFlux.Latents(1, 1));
        float[] alone = TinyFlux.RunAlone(_backend, _model, policy, 1, out string decisions);
        Assert.Equal(decisions, TinyFlux.Decisions(session.Trace));
        Assert.Equal(alone, both[..alone.Length]);
        Assert.Equal(alone, both[alone.Length..]);
    }

    [Fact]
    public void Guidance_branches_keep_their_own_memory()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape(slots: 2));
        TinyFlux.Condition(program, 0, 1);
        TinyFlux.Condition(program, 1, 1);
        using DiTSession session = new(program, new DiCachePolicy(s_mixed), new SessionOptions { Branches = 2, KeepTrace = true });
        float[] guided = TinyFlux.Run(session, TinyFlux.Latents(1), branches: 2);

        // Equal conditions: guidance changes nothing, so both branches must decide as one alone does.
        float[] alone = TinyFlux.RunAlone(_backend, _model, new DiCachePolicy(s_mixed), 1, out string decisions);
        Assert.Equal(decisions, TinyFlux.Decisions(session.Trace.Where(r => r.Branch == 0)));
        Assert.Equal(decisions, TinyFlux.Decisions(session.Trace.Where(r => r.Branch == 1)));
        Assert.Equal(alone, guided);
    }

    [Fact]
    public void Sessions_on_two_threads_equal_the_same_two_alone()
    {
        DiCachePolicy policy = new(s_mixed);
        float[][] expected = [.. new[] { 1, 5 }.Select(s => TinyFlux.RunAlone(_backend, _model, policy, s, out _))];
        float[][] actual = new float[2][];
        Parallel.For(0, 2, i => actual[i] = TinyFlux.RunAlone(_backend, _model, policy, i == 0 ? 1 : 5, out _));
        Assert.Equal(expected[0], actual[0]);
        Assert.Equal(expected[1], actual[1]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void The_number_of_threads_changes_no_bit(int threads)
    {
        float[] expected = TinyFlux.RunAlone(_backend, _model, new DiCachePolicy(s_mixed), 1, out _);
        using CpuBackend backend = new(new CpuBackendOptions { Threads = threads });
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config, seed: 3);
        Assert.Equal(expected, TinyFlux.RunAlone(backend, model, new DiCachePolicy(s_mixed), 1, out _));
    }

    [Fact]
    public void Features_that_are_not_finite_are_computed_and_counted()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession session = new(program, new DiCachePolicy(s_mixed with { Threshold = 1e30f }));
        float[] start = TinyFlux.Latents(1), velocity = new float[start.Length], sigmas = TinyFlux.Sigmas();
        Array.Fill(start, float.MaxValue);
        session.Begin(sigmas);
        foreach (float sigma in sigmas)
        {
            Assert.NotEqual(StepDecision.Skip, session.Step(start, sigma, 0, velocity));
        }

        Assert.True(session.Stats.NeverEngaged);
        Assert.Equal(session.Stats.Resume, session.Stats.NonFinite);
        Assert.True(session.Stats.Resume > 0);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Latents_that_are_not_finite_are_refused_and_name_the_step(float value)
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession session = new(program, NoCachePolicy.Instance);
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length], broken = [.. latents];
        broken[^1] = value;
        session.Begin([1f, 0.5f]);
        session.Step(latents, 1f, 0, velocity);
        Refused<NonFiniteException>("step 1 of branch 0", () => session.Step(broken, 0.5f, 0, velocity));
        session.Step(latents, 0.5f, 0, velocity);
    }

    [Fact]
    public void A_session_is_begun_anew_after_a_step_that_was_cancelled()
    {
        float[] expected = TinyFlux.RunAlone(_backend, _model, new DiCachePolicy(s_mixed), 1, out _);
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        using DiTSession session = new(program, new DiCachePolicy(s_mixed));
        using CancellationTokenSource source = new();
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length];
        session.Begin(TinyFlux.Sigmas());
        program.Cancellation = source.Token;
        source.Cancel();
        Assert.Equal(source.Token, Assert.Throws<OperationCanceledException>(() => session.Step(latents, 1f, 0, velocity)).CancellationToken);
        Assert.Throws<OperationCanceledException>(() => session.Begin(TinyFlux.Sigmas()));
        Assert.Throws<OperationCanceledException>(() => TinyFlux.Condition(program, 0, 1));
        program.Cancellation = CancellationToken.None;
        Assert.Equal(expected, TinyFlux.Run(session, latents));
    }

    [Fact]
    public void A_blind_skip_leaves_the_accumulated_error_as_it_is()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        BlindAfterProbe policy = new();
        using DiTSession session = new(program, policy);
        TinyFlux.Run(session, TinyFlux.Latents(1));
        Assert.Equal([0f, 0f, 0f, 0.25f, 0.25f, 0.5f], policy.Seen.Take(6));
    }

    [Fact]
    public void Conditions_and_time_steps_must_be_set_in_order_in_every_family()
    {
        using FluxProgram flux = _model.CreateProgram(TinyFlux.Shape(slots: 2));
        TinyFlux.Condition(flux, 0, 1);
        using WanModel wanModel = WanModel.Random(_backend, new WanConfig
        {
            InChannels = 2,
            OutChannels = 2,
            Width = 24,
            MlpWidth = 40,
            Heads = 2,
            Layers = 1,
            FrequencyWidth = 16,
            TextDim = 10,
            TextTokens = 5,
        });
        using WanProgram wan = wanModel.CreateProgram(new WanShape(new LatentSize(1, 4, 4)) { Slots = 2 });
        wan.SetConditions(0, new WanConditions { Text = new float[10] });
        using HunyuanModel hunyuanModel = HunyuanModel.Random(_backend, new HunyuanConfig
        {
            Channels = 2,
            DoubleBlocks = 1,
            SingleBlocks = 1,
            RefinerBlocks = 1,
            Heads = 2,
            HeadDim = 12,
            MlpWidth = 40,
            TextDim = 10,
            PooledDim = 6,
            RopeAxes = [4, 4, 4],
        });
        using HunyuanProgram hunyuan = hunyuanModel.CreateProgram(new HunyuanShape(new LatentSize(1, 4, 4)) { Slots = 2 });
        hunyuan.SetConditions(0, new HunyuanConditions { Text = new float[10], Pooled = new float[6] });
        foreach (DiTProgram program in new DiTProgram[] { flux, wan, hunyuan })
        {
            using DiTSession session = new(program, NoCachePolicy.Instance, new SessionOptions { Branches = 2 });
            Refused<InvalidOperationException>("slot 1 has no conditions yet", () => program.SetTimesteps([1000f]));
            Refused<InvalidOperationException>("no time steps yet", () => program.Select(0, 0));
            Refused<InvalidOperationException>("slot 1 has no conditions yet", () => session.Begin([1f]));
        }

        TinyFlux.Condition(flux, 1, 1);
        flux.SetTimesteps([1000f]);
        Assert.Throws<ArgumentException>(() => flux.Select(1, 0));
        Assert.Throws<ArgumentException>(() => flux.Select(0, 2));
        Assert.Throws<ArgumentException>(() => TinyFlux.Condition(flux, 2, 1));
    }

    [Fact]
    public void Without_a_cache_no_bytes_are_held_for_one()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        using DiTSession none = new(program, NoCachePolicy.Instance), cached = new(program, new DiCachePolicy());
        Assert.Equal(0, none.CacheBytes);
        Assert.Equal(DiTSession.PlanCacheBytes(program.Features, new DiCachePolicy(), new SessionOptions()), cached.CacheBytes);
    }

    [Fact]
    public void The_interval_policy_computes_every_nth_step_and_the_last()
    {
        _ = TinyFlux.RunAlone(_backend, _model, new IntervalPolicy(3), 1, out string decisions);
        Assert.Equal("FssFssFssF", decisions);
        _ = TinyFlux.RunAlone(_backend, _model, new IntervalPolicy(2, retRatio: 0.3), 1, out decisions);
        Assert.Equal("FFFFsFsFsF", decisions);
    }

    [Fact]
    public void A_policy_of_ones_own_can_be_used()
    {
        _ = TinyFlux.RunAlone(_backend, _model, new AlternatingPolicy(), 1, out string decisions);
        Assert.Equal("FsFsFsFsFs", decisions);
    }

    [Fact]
    public void Wrong_calls_are_refused_with_the_reason()
    {
        using FluxProgram program = _model.CreateProgram(TinyFlux.Shape());
        TinyFlux.Condition(program, 0, 1);
        Assert.Contains("at most 3 blocks", Assert.Throws<ArgumentException>(() =>
            new DiTSession(program, new DiCachePolicy(s_mixed with { ProbeDepth = 4 }))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => new DiTSession(program, new DiCachePolicy(DiCacheOptions.Flux), new SessionOptions { Samples = 2 }));
        using DiTSession session = new(program, NoCachePolicy.Instance);
        float[] latents = TinyFlux.Latents(1), velocity = new float[latents.Length];
        Refused<InvalidOperationException>("call Begin before Step", () => session.Step(latents, 1f, 0, velocity));
        Refused<ArgumentException>("there are no time steps", () => session.Begin([]));
        Refused<ArgumentException>("not a finite number", () => session.Begin([float.NaN]));
        session.Begin([1f]);
        Refused<ArgumentException>("branch 1 does not exist", () => session.Step(latents, 1f, 1, velocity));
        Assert.Contains("announced", Assert.Throws<ArgumentException>(() => session.Step(latents, 0.5f, 0, velocity)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => session.Step(latents.AsSpan(1), 1f, 0, velocity));
        session.Step(latents, 1f, 0, velocity);
        Assert.Contains("has had its 1 steps", Assert.Throws<ArgumentException>(() => session.Step(latents, 1f, 0, velocity)).Message,
            StringComparison.Ordinal);
    }

    private static void Refused<T>(string words, Action call)
        where T : Exception => Assert.Contains(words, Assert.Throws<T>(call).Message, StringComparison.Ordinal);

    /// <summary>Two full steps, then by turns a skip after a probe, which adds a quarter, and a skip without one.</summary>
    private sealed class BlindAfterProbe : ICachePolicy
    {
        public List<float> Seen { get; } = [];

        public string Name => "blind after probe";

        public int ProbeDepth => 1;

        public bool NeedsInputChange => false;

        public CacheReuse Reuse => CacheReuse.ReuseResidual;

        public (float Min, float Max) GammaRange => (1, 1);

        public DecisionScope Scope => DecisionScope.Batch;

        public bool KeepsStaleProbe(int probeBlocks) => false;

        public CachePlan Plan(in StepInfo step, in LaneState lane)
        {
            Seen.Add(lane.Accumulated);
            return new CachePlan(step.Step < 2 ? CacheAction.Full : step.Step % 2 == 0 ? CacheAction.Probe : CacheAction.Skip);
        }

        public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => new(true, 0.25f, lane.Accumulated + 0.25f);
    }

    private sealed class AlternatingPolicy : ICachePolicy
    {
        public string Name => "alternating";

        public int ProbeDepth => 0;

        public bool NeedsInputChange => false;

        public CacheReuse Reuse => CacheReuse.ReuseResidual;

        public (float Min, float Max) GammaRange => (1, 1);

        public DecisionScope Scope => DecisionScope.Sample;

        public bool KeepsStaleProbe(int probeBlocks) => false;

        public CachePlan Plan(in StepInfo step, in LaneState lane) =>
            new(lane.ConsecutiveSkips == 0 && lane.ComputedSteps > 0 && step.Step % 2 == 1 ? CacheAction.Skip : CacheAction.Full);

        public CacheVerdict Decide(in StepInfo step, in ProbeChange change, in LaneState lane) => default;
    }
}
