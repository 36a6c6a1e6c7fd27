using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>
/// One generation: a program, a cache policy and the memory of the cache, keyed by guidance branch and sample, never by call order. For
/// callers with a sampler of their own: call <see cref="Begin"/> once, then <see cref="Step"/> for every model call.
/// </summary>
/// <remarks>
/// full: Embed Probe Body Head. resume: the same, the probe having run for the decision, so a computed step never pays twice for it.
/// skip: Embed Probe Align Head. Sessions are independent of each other. A session may be used by one thread at a time, not always the same:
/// each call waits for what it issued. A second thread gets an <see cref="InvalidOperationException"/>.
/// It owns its feature maps and plans, but not the program, which must outlive its last step: once the session, the program or the model is
/// disposed, <see cref="Begin"/> and <see cref="Step"/> throw an <see cref="ObjectDisposedException"/> that names the one.
/// </remarks>
public sealed class DiTSession : IDisposable
{
    // Time steps are noise levels on a scale of 0 to 1000 in every model.
    private const float TimestepScale = 1000f;

    private readonly Lifetime _lifetime;
    private readonly DiTProgram _program;
    private readonly IBackend _backend;
    private readonly ICachePolicy _policy;
    private readonly SessionOptions _options;
    private readonly Arena _arena;
    private readonly Tensor _sums;
    private readonly Tensor _gamma;
    private readonly CacheLane[] _lanes;
    private readonly Dictionary<PlanKey, IStepPlan> _plans = [];
    private readonly List<CacheTraceRow> _trace = [];
    private readonly float[] _sumValues = new float[ProbeSums.Count];
    private readonly int _probeDepth;
    private readonly int _lanesPerBranch;
    private float[] _sigmas = [];
    private int[] _calls = [];
    private bool _begun;
    private int _planVersion;

    /// <summary>Creates a session.</summary>
    /// <param name="program">The model, laid out for the shape. Its slots are branches, or branch * samples + sample when samples decide for
    /// themselves.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches, samples and what is recorded.</param>
    /// <exception cref="ArgumentException">The probe is deeper than the model allows, or batch and scope do not go together.</exception>
    /// <exception cref="BackendException">The feature maps of the cache do not fit into memory.</exception>
    public DiTSession(DiTProgram program, ICachePolicy policy, SessionOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(policy);
        (_program, _backend, _policy, _options) = (program, program.Backend, policy, options ?? new SessionOptions());
        if (policy.ProbeDepth > program.ProbeBlocks)
        {
            throw new ArgumentException(
                $"the probe depth of the cache is {policy.ProbeDepth}, but a probe of this model has at most {program.ProbeBlocks} blocks");
        }

        bool perSample = policy.Scope == DecisionScope.Sample;
        if (_options.Samples > 1 && perSample != (program.Batch == 1))
        {
            throw new ArgumentException(
                $"policy {policy.Name} decides per {policy.Scope}: it needs a program for {(perSample ? 1 : _options.Samples)} samples, not {program.Batch}");
        }

        _lanesPerBranch = _options.Samples / program.Batch;
        _probeDepth = Math.Max(1, policy.ProbeDepth);
        long bytes = PlanCacheBytes(program.Features, policy, _options);
        CacheBytes = policy is NoCachePolicy ? 0 : bytes;
        int lanes = _options.Branches * _lanesPerBranch;
        _arena = _backend.CreateArena(bytes, $"the {policy.Name} cache of {lanes} branch{(lanes > 1 ? "es" : string.Empty)}");
        _lanes = Lay(_arena, program.Features, policy, _options, out _sums, out _gamma);
        _lifetime = new Lifetime(nameof(DiTSession), Free, exclusive: true);
    }

    /// <summary>Bytes of feature maps held for caching; 0 without a cache, whatever maps the program needs to hand from segment to segment.</summary>
    public long CacheBytes { get; }

    /// <summary>What the cache did since <see cref="Begin"/>.</summary>
    public CacheStats Stats { get; private set; } = new();

    /// <summary>Decisions since <see cref="Begin"/>, when <see cref="SessionOptions.KeepTrace"/> is set.</summary>
    public IReadOnlyList<CacheTraceRow> Trace => _trace;

    /// <summary>The decision of the last call (of its last sample).</summary>
    public StepDecision LastDecision { get; private set; }

    /// <summary>
    /// Starts a generation: forgets everything cached and computes the modulations of all steps at once. The conditions of all slots of the
    /// program must have been set.
    /// </summary>
    /// <param name="sigmas">Noise level of every step, 1 towards 0; without the final 0.</param>
    /// <param name="timesteps">What the model is conditioned on, one for each noise level; empty for 1000 times the noise level.</param>
    /// <exception cref="ArgumentException">There are none, the counts differ, one is not finite, or the program was made for fewer steps.</exception>
    /// <exception cref="InvalidOperationException">A slot has no conditions yet, or another thread is inside.</exception>
    /// <exception cref="ObjectDisposedException">The session, its program or its model was disposed.</exception>
    public void Begin(ReadOnlySpan<float> sigmas, ReadOnlySpan<float> timesteps = default)
    {
        using Lifetime.Use use = _lifetime.Enter();
        using DiTProgram.Use program = _program.Enter();
        if (!timesteps.IsEmpty && timesteps.Length != sigmas.Length)
        {
            throw new ArgumentException($"{timesteps.Length} time steps do not go with {sigmas.Length} noise levels", nameof(timesteps));
        }

        if (!Finite.All(sigmas))
        {
            throw new ArgumentException(
                "a noise level is not a finite number: the shift or the number of steps of the sampler cannot be right", nameof(sigmas));
        }

        _begun = false;

        if (_planVersion != _program.PlanVersion)
        {
            _planVersion = _program.PlanVersion;
            DropPlans();
        }

        _sigmas = sigmas.ToArray();
        _calls = new int[_options.Branches];
        Stats = new CacheStats { HasCache = _policy is not NoCachePolicy };
        _trace.Clear();
        foreach (CacheLane lane in _lanes)
        {
            lane.Reset();
        }

        float[] times = timesteps.IsEmpty ? [.. _sigmas.Select(s => s * TimestepScale)] : timesteps.ToArray();
        _program.SetTimesteps(times);
        _begun = true;
    }

    /// <summary>Bytes of feature maps that a session would allocate: those of the cache, and x0 and p, which go from segment to segment.</summary>
    /// <param name="features">Shape of the feature maps.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches and samples.</param>
    public static long PlanCacheBytes(FeatureShape features, ICachePolicy policy, SessionOptions options)
    {
        ArgumentNullException.ThrowIfNull(policy);
        ArgumentNullException.ThrowIfNull(options);
        Arena measure = Arena.Measure();
        Lay(measure, features, policy, options, out _, out _);
        return measure.Used;
    }

    /// <summary>Predicts the velocity at the next noise level, computing or skipping as the cache decides.</summary>
    /// <param name="latents">Latents of all samples, as <see cref="DiTProgram.Input"/> lays them out; finite numbers.</param>
    /// <param name="sigma">Noise level; must be that of the step that is next for the branch.</param>
    /// <param name="branch">Guidance branch: 0 conditional, 1 unconditional.</param>
    /// <param name="velocity">Receives the prediction, same shape as the latents.</param>
    /// <returns>What was done (for the last sample, when samples decide for themselves).</returns>
    /// <exception cref="ArgumentException">The branch has no step left, the noise level is not the next one, or a span has the wrong length.</exception>
    /// <exception cref="InvalidOperationException">No generation was begun, the last step was cancelled or failed, or another thread is inside.</exception>
    /// <exception cref="NonFiniteException">The latents hold NaN or infinity.</exception>
    /// <exception cref="OperationCanceledException">The program's <see cref="DiTProgram.Cancellation"/> was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The session, its program or its model was disposed.</exception>
    public StepDecision Step(ReadOnlySpan<float> latents, float sigma, int branch, Span<float> velocity)
    {
        using Lifetime.Use use = _lifetime.Enter();
        using DiTProgram.Use program = _program.Enter();
        int perProgram = checked((int)_program.Input.Count);
        if (latents.Length != perProgram * _lanesPerBranch || velocity.Length != latents.Length)
        {
            throw new ArgumentException($"latents and velocity must have {perProgram * _lanesPerBranch} elements, not {latents.Length} and {velocity.Length}");
        }

        if (!_begun)
        {
            throw new InvalidOperationException("no generation was begun, or its last step was cancelled or failed: call Begin before Step");
        }

        if ((uint)branch >= (uint)_calls.Length)
        {
            throw new ArgumentException($"branch {branch} does not exist: the session has {_options.Branches}", nameof(branch));
        }

        int step = _calls[branch];
        if (step >= _sigmas.Length || sigma != _sigmas[step])
        {
            throw new ArgumentException(
                step >= _sigmas.Length ? $"branch {branch} has had its {_sigmas.Length} steps; call Begin for the next generation"
                    : $"step {step} of branch {branch} was announced with sigma {_sigmas[step]}, not {sigma}",
                nameof(sigma));
        }

        if (!Finite.All(latents))
        {
            throw new NonFiniteException($"the latents given to step {step} of branch {branch} hold NaN or infinity");
        }

        // A step that does not end leaves its lane in between.
        _begun = false;
        try
        {
            for (int i = 0; i < _lanesPerBranch; i++)
            {
                int sample = _policy.Scope == DecisionScope.Sample ? i : -1;
                StepInfo info = new(step, _sigmas.Length, branch, _options.Branches, sample, sigma);
                _backend.Upload(latents.Slice(i * perProgram, perProgram), _program.Input);
                LastDecision = RunLane(info, (branch * _lanesPerBranch) + i);
                _backend.Download(_program.Velocity, velocity.Slice(i * perProgram, perProgram));
            }
        }
        catch
        {
            Settle();
            throw;
        }

        _calls[branch]++;
        _begun = true;
        return LastDecision;
    }

    /// <summary>
    /// Frees the plans and the feature maps; the program stays. When a step runs on another thread, they are freed as it ends. May be called
    /// twice.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private void Free()
    {
        DropPlans();
        _arena.Dispose();
    }

    // What a call that fails has issued must not run beside what another thread issues next. Its own failure is the one to tell.
    private void Settle()
    {
        try
        {
            _backend.Synchronize();
        }
        catch (BackendException)
        {
        }
    }

    private void DropPlans()
    {
        foreach (IStepPlan plan in _plans.Values)
        {
            plan.Dispose();
        }

        _plans.Clear();
    }

    private StepDecision RunLane(in StepInfo info, int slot)
    {
        long start = Stopwatch.GetTimestamp();
        CacheLane lane = _lanes[slot];
        CachePlan plan = _policy.Plan(info, lane.State);
        if (plan.Action == CacheAction.Skip && lane.State.ComputedSteps == 0)
        {
            plan = new CachePlan(CacheAction.Full);
        }

        _program.Select(info.Step, slot);
        Run(Segment.Embed, slot, lane);
        Outcome outcome = plan.Action switch
        {
            CacheAction.Full => Compute(slot, lane),
            CacheAction.Skip => SkipBlind(slot, lane, plan.Gamma),
            _ => Measure(info, slot, lane),
        };
        Stats.Count(outcome.Decision, outcome.NonFinite);
        if (_options.KeepTrace)
        {
            _backend.Synchronize();
            _trace.Add(outcome.ToRow(info, Stopwatch.GetElapsedTime(start).TotalMicroseconds));
        }

        return outcome.Decision;
    }

    private Outcome Compute(int slot, CacheLane lane)
    {
        Run(Segment.Probe, slot, lane);
        Run(Segment.Body, slot, lane);
        lane.Computed(keepsProbe: true);
        return new Outcome(StepDecision.Full);
    }

    private Outcome SkipBlind(int slot, CacheLane lane, float? gamma)
    {
        bool aligns = gamma is not null && !lane.OlderResidual.IsEmpty;
        if (aligns)
        {
            _backend.Upload([gamma!.Value], _gamma);
        }

        Run(aligns ? Segment.AlignedHead : Segment.ReuseHead, slot, lane);
        lane.Skipped(lane.State.Accumulated, probed: false);
        return new Outcome(StepDecision.Skip, Gamma: aligns ? gamma : null);
    }

    private Outcome Measure(in StepInfo info, int slot, CacheLane lane)
    {
        Run(Segment.MeasuredProbe, slot, lane);
        _backend.Download(_sums, _sumValues);
        ProbeSums sums = ProbeSums.From(_sumValues);
        bool hasInput = !lane.PreviousInput.IsEmpty;
        bool aligns = !lane.OlderResidual.IsEmpty;
        float? raw = aligns ? sums.GammaNumerator / (lane.GammaDenominator ??= sums.GammaDenominator) : null;
        ProbeChange change = new(hasInput ? sums.InputChange / sums.InputPrevious : float.NaN, sums.ProbeChange / sums.ProbePrevious, raw);
        CacheVerdict verdict = _policy.Decide(info, change, lane.State);
        Outcome outcome = new(
            verdict.Skip && lane.State.ComputedSteps > 0 ? StepDecision.Skip : StepDecision.Resume, hasInput ? change.DeltaX : null, change.DeltaY,
            verdict.Error, verdict.Accumulated,
            NonFinite: !float.IsFinite(verdict.Error) || raw is { } g && float.IsNaN(g));
        if (!verdict.Skip || lane.State.ComputedSteps == 0)
        {
            Run(Segment.ResumedBody, slot, lane);
            lane.Computed(keepsProbe: !KeepsStaleProbe(lane));
            return outcome;
        }

        if (aligns)
        {
            float gamma = Math.Clamp(raw!.Value, _policy.GammaRange.Min, _policy.GammaRange.Max);
            _backend.Upload([gamma], _gamma);
            outcome = outcome with { GammaRaw = raw, Gamma = gamma };
        }

        Run(aligns ? Segment.AlignedHead : Segment.ReuseHead, slot, lane);
        lane.Skipped(verdict.Accumulated, probed: true);
        return outcome;
    }

    // Plans are recorded the first time that a segment meets a layout of buffers, and replayed from then on.
    private void Run(Segment segment, int slot, CacheLane lane)
    {
        PlanKey key = new(segment, slot, lane.Layout);
        if (!_plans.TryGetValue(key, out IStepPlan? plan))
        {
            plan = Record(segment, lane);
            _plans.Add(key, plan);
        }

        // A recorded plan asks nobody while it runs.
        _program.Cancellation.ThrowIfCancellationRequested();
        plan.Run();
    }

    private IStepPlan Record(Segment segment, CacheLane lane)
    {
        DiTProgram program = _program;
        int depth = _probeDepth;
        Tensor x = lane.Input, p = lane.Probe, older = lane.OlderResidual, residual = lane.ResidualTarget;
        BlendInputs blend = new(x, lane.NewerResidual, segment == Segment.AlignedHead ? older : default, _gamma);
        ProbeInputs inputs = new(
            p, lane.PreviousProbe, x, lane.PreviousInput, lane.OlderProbeResidual, lane.OlderProbeResidual.IsEmpty || lane.GammaDenominator is not null
                ? default : lane.NewerProbeResidual);
        ProbeForm form = _options.ProbeForm;
        bool rides = form == ProbeForm.Epilogue;
        ResidualExtras extras = rides ? new ResidualExtras(Probe: inputs with { Probe = default }, ProbeSums: _sums) : default;

        // A stale probe also enters the probe residual: stored output minus new input.
        Tensor kept = segment == Segment.ResumedBody && KeepsStaleProbe(lane) ? lane.PreviousProbe : p;
        Tensor probeResidual = lane.ProbeResidualTarget;
        return _backend.Record($"{program.GetType().Name}.{segment}", segment switch
        {
            Segment.Embed => () => program.Embed(x),
            Segment.Probe => () => program.Probe(depth, x, p, default),
            Segment.MeasuredProbe => () =>
            {
                program.Probe(depth, x, p, extras);
                if (!rides)
                {
                    program.Backend.ProbeL1(inputs, _sums, form);
                }
            }
            ,
            Segment.Body or Segment.ResumedBody => () =>
            {
                if (!probeResidual.IsEmpty)
                {
                    program.Backend.Subtract(kept, x, probeResidual);
                }

                program.Body(depth, x, p, residual);
                program.Head();
            }
            ,
            _ => () => program.AlignedHead(blend, form),
        });
    }

    private bool KeepsStaleProbe(CacheLane lane) => !lane.PreviousProbe.IsEmpty && _policy.KeepsStaleProbe(_program.ProbeBlocks);

    private static CacheLane[] Lay(Arena arena, FeatureShape features, ICachePolicy policy, SessionOptions options, out Tensor sums, out Tensor gamma)
    {
        sums = arena.Allocate(DType.F32, 1, 1, ProbeSums.Count);
        gamma = arena.Allocate(DType.F32, 1, 1, 1);
        Tensor sharedInput = arena.Allocate(features.Type, features.Batch, features.Tokens, features.Width);
        CacheLane[] lanes = new CacheLane[options.Branches * options.Samples / features.Batch];
        for (int i = 0; i < lanes.Length; i++)
        {
            lanes[i] = new CacheLane(arena, features, policy, sharedInput, options.MeasureInput || policy.NeedsInputChange);
        }

        return lanes;
    }

    private enum Segment
    {
        Embed,
        Probe,
        MeasuredProbe,
        Body,
        ResumedBody,
        AlignedHead,
        ReuseHead,
    }

    private readonly record struct PlanKey(Segment Segment, int Slot, int Layout);

    private readonly record struct Outcome(
        StepDecision Decision, float? DeltaX = null, float? DeltaY = null, float? Error = null, float? Accumulated = null, float? GammaRaw = null,
        float? Gamma = null,
        bool NonFinite = false)
    {
        public CacheTraceRow ToRow(in StepInfo info, double microseconds) => new()
        {
            Step = info.Step,
            Branch = info.Branch,
            Sample = info.Sample,
            Sigma = info.Sigma,
            DeltaX = DeltaX,
            DeltaY = DeltaY,
            Error = Error,
            Accumulated = Accumulated,
            Decision = Decision,
            GammaRaw = GammaRaw,
            Gamma = Gamma,
            Microseconds = microseconds,
        };
    }
}
