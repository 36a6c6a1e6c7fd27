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
    /// <param name="rounds">Measurements of each kind; one more comes first and is not counted.</param>
    /// <param name="cancel">Ends the run between blocks.</param>
    public static ModelTimes Run(IBackend backend, ModelPreset preset, int rounds, CancellationToken cancel)
    {
        using PresetModel model = preset.Load(backend);
        int announced = KindsPerRound * (rounds + 1);
        SteadyPolicy policy = new(probeDepth: 1);
        using DiTProgram program = model.CreateProgram(announced, null), products = model.CreateProgram(announced, new GemmOnlyBackend(backend));
        program.Cancellation = products.Cancellation = cancel;
        using Stepper steps = new(program, policy, announced), gemms = new(products, policy, announced);

        Dictionary<string, List<double>> times = new() { ["full"] = [], ["resume"] = [], ["skip"] = [], ["gemm"] = [] };
        for (int round = 0; round <= rounds; round++)
        {
            void Keep(string kind, double milliseconds)
            {
                if (round > 0)
                {
                    times[kind].Add(milliseconds);
                }
            }

            Keep("full", steps.Time(StepDecision.Full));
            Keep("resume", steps.Time(StepDecision.Resume));
            Keep("skip", steps.Time(StepDecision.Skip));
            Keep("gemm", gemms.Time(StepDecision.Full));
        }

        double full = Statistics.Median(times["full"]), resume = Statistics.Median(times["resume"]), skip = Statistics.Median(times["skip"]);
        SegmentFlops flops = program.Flops(1);
        double measured = (ScheduleFull + ScheduleResume + ScheduleSkip) * full / ((ScheduleFull * full) + (ScheduleResume * resume) + (ScheduleSkip * skip));
        return new ModelTimes(
            full, resume, skip, Statistics.Median(times["gemm"]), flops.Full / (full * 1e6), measured, flops.IdealSpeedUp(ScheduleFull + ScheduleResume, ScheduleSkip), rounds);
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
