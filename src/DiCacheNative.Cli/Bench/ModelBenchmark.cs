using System.Diagnostics;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;

namespace DiCacheNative.Cli.Bench;

/// <summary>Times of full, resumed and skipped steps and of the matrix products alone, taken in turn in one run.</summary>
internal static class ModelBenchmark
{
    // What the published FLUX settings did in 30 steps on the reference model (flux-tiny/dev/sample-deltay-official).
    public const int ScheduleFull = 8;
    public const int ScheduleResume = 4;
    public const int ScheduleSkip = 18;

    // Full, resume, skip; all at one noise level, for it does not change the work.
    private const int KindsPerRound = 3;
    private const float Sigma = 0.5f;

    /// <summary>Measures a preset.</summary>
    /// <param name="backend">Where it runs.</param>
    /// <param name="preset">Shape; weights are random.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="against">Another backend, of another precision, whose full steps are timed in the same rounds; null for none.</param>
    public static ModelTimes Run(IBackend backend, ModelPreset preset, Rounds rounds, IBackend? against = null)
    {
        rounds.Tell($"making the weights of {preset.Name}");
        int announced = KindsPerRound * (rounds.Bound + Rounds.MostDiscarded);
        SteadyPolicy policy = new(probeDepth: 1);
        using PresetModel model = preset.Load(backend);
        using PresetModel? other = against is null ? null : preset.Load(against);
        CountingBackend steady = new(backend), steadyProducts = new(backend);
        using DiTProgram program = model.CreateProgram(announced, steady), products = model.CreateProgram(announced, new GemmOnlyBackend(steadyProducts));
        using DiTProgram? otherProgram = other?.CreateProgram(announced, null);
        program.Cancellation = products.Cancellation = rounds.Cancel;
        using Stepper steps = new(program, policy, announced), gemms = new(products, policy, announced);
        using Stepper? others = otherProgram is null ? null : new Stepper(otherProgram, policy, announced);

        List<double> full = [], resume = [], skip = [], gemm = [], reference = [];
        int plans = 0;

        // On the CPU a plan is the call itself, and one round has seen everything.
        bool recordingCosts = backend.Name != "cpu";
        rounds.Run(
            keep =>
            {
                void Take(List<double> into, double milliseconds)
                {
                    if (keep)
                    {
                        into.Add(milliseconds);
                    }
                }

                plans = steady.Plans + steadyProducts.Plans;
                Take(full, steps.Time(StepDecision.Full));
                Take(resume, steps.Time(StepDecision.Resume));
                Take(skip, steps.Time(StepDecision.Skip));
                Take(gemm, gemms.Time(StepDecision.Full));
                if (others is not null)
                {
                    Take(reference, others.Time(StepDecision.Full));
                }
            },
            warm: () => !recordingCosts || steady.Plans + steadyProducts.Plans == plans);

        Distribution f = new(full), r = new(resume), s = new(skip);
        SegmentFlops flops = program.Flops(1);
        double measured = (ScheduleFull + ScheduleResume + ScheduleSkip) * f.Median
            / ((ScheduleFull * f.Median) + (ScheduleResume * r.Median) + (ScheduleSkip * s.Median));
        double ideal = flops.IdealSpeedUp(ScheduleFull + ScheduleResume, ScheduleSkip);
        return new ModelTimes(f, r, s, new Distribution(gemm), flops.Full / (f.Median * 1e6), measured, ideal, rounds.Counted, rounds.Discarded)
        {
            AgainstMs = others is null ? null : new Distribution(reference),
            Against = against?.Description,
        };
    }

    /// <summary>A session that takes one step of a wanted kind after another.</summary>
    private sealed class Stepper : IDisposable
    {
        private readonly DiTSession _session;
        private readonly SteadyPolicy _policy;
        private readonly float[] _latents;
        private readonly float[] _velocity;

        public Stepper(DiTProgram program, SteadyPolicy policy, int announced)
        {
            _policy = policy;
            _latents = PresetModel.Noise(program.Input.Count);
            _velocity = new float[_latents.Length];
            _session = new DiTSession(program, policy);
            float[] sigmas = new float[announced];
            sigmas.AsSpan().Fill(Sigma);
            _session.Begin(sigmas);
        }

        public double Time(StepDecision mode)
        {
            _policy.Mode = mode;
            long start = Stopwatch.GetTimestamp();
            _session.Step(_latents, Sigma, 0, _velocity);
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }

        public void Dispose() => _session.Dispose();
    }
}
