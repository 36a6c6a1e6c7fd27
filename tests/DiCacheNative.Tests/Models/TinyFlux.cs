using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Sampling;

namespace DiCacheNative.Tests.Models;

/// <summary>A small FLUX of random weights with conditions and noise, and runs of it.</summary>
internal static class TinyFlux
{
    public const int Steps = 10;

    public static FluxConfig Config { get; } = new()
    {
        InChannels = 16,
        OutChannels = 16,
        DoubleBlocks = 3,
        SingleBlocks = 2,
        Heads = 2,
        HeadDim = 32,
        JointDim = 24,
        PooledDim = 20,
        GuidanceEmbeds = false,
        RopeAxes = [8, 12, 12],
    };

    public static FluxShape Shape(int batch = 1, int slots = 1, int steps = Steps) => new(batch, 3, 5, 7, slots, steps);

    public static float[] Noise(int seed, int count)
    {
        float[] values = new float[count];
        INoiseSource.Create(RngKind.Torch, (ulong)seed).Fill(values);
        return values;
    }

    public static void Condition(FluxProgram program, int slot, params int[] seeds) => program.SetConditions(
        slot, [.. seeds.SelectMany(s => Noise(s, 7 * 24))], [.. seeds.SelectMany(s => Noise(1000 + s, 20))], new float[seeds.Length]);

    public static float[] Latents(params int[] seeds) => [.. seeds.SelectMany(s => Noise(2000 + s, 15 * 16))];

    public static float[] Sigmas(int steps = Steps) => [.. Enumerable.Range(0, steps).Select(i => 1f - ((float)i / steps))];

    /// <summary>Euler steps to the end; gives the final latents.</summary>
    public static float[] Run(DiTSession session, float[] start, int steps = Steps, int branches = 1)
    {
        float[] latents = [.. start], velocity = new float[start.Length], other = new float[start.Length], sigmas = Sigmas(steps);
        session.Begin(sigmas);
        for (int i = 0; i < steps; i++)
        {
            session.Step(latents, sigmas[i], 0, velocity);
            if (branches > 1)
            {
                session.Step(latents, sigmas[i], 1, other);
                for (int k = 0; k < velocity.Length; k++)
                {
                    velocity[k] = other[k] + (2 * (velocity[k] - other[k]));
                }
            }

            for (int k = 0; k < latents.Length; k++)
            {
                latents[k] -= velocity[k] / steps;
            }
        }

        return latents;
    }

    /// <summary>One sample alone from begin to end.</summary>
    public static float[] RunAlone(IBackend backend, FluxModel model, ICachePolicy policy, int seed, out string decisions)
    {
        _ = backend;
        using FluxProgram program = model.CreateProgram(Shape());
        Condition(program, 0, seed);
        using DiTSession session = new(program, policy, new SessionOptions { KeepTrace = true });
        float[] result = Run(session, Latents(seed));
        decisions = Decisions(session.Trace);
        return result;
    }

    public static string Decisions(IEnumerable<CacheTraceRow> rows) =>
        string.Concat(rows.Select(r => r.Decision switch { StepDecision.Full => 'F', StepDecision.Skip => 's', _ => 'R' }));
}
