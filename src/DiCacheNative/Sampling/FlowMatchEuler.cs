namespace DiCacheNative.Sampling;

/// <summary>
/// Euler's method for flow matching, with the noise levels of FLUX: 1 down to 1/N in equal steps, shifted, then 0. Equal to diffusers'
/// FlowMatchEulerDiscreteScheduler (v0.34) to the last bit.
/// </summary>
public sealed class FlowMatchEuler : ISampler
{
    private readonly float[] _sigmas;
    private readonly float[] _timesteps;

    private FlowMatchEuler(float[] sigmas, int trainTimesteps)
    {
        _sigmas = sigmas;
        _timesteps = FlowTables.Timesteps(sigmas, trainTimesteps);
    }

    /// <inheritdoc/>
    public IReadOnlyList<float> Sigmas => _sigmas;

    /// <inheritdoc/>
    public IReadOnlyList<float> Timesteps => _timesteps;

    /// <summary>The schedule of N equal steps.</summary>
    /// <param name="config">The model's scheduler configuration.</param>
    /// <param name="steps">Number of steps, N; at least 1.</param>
    /// <param name="imageTokens">Tokens of the picture as the transformer sees them; used by dynamic shifting alone.</param>
    /// <param name="shift">A static shift to use instead of what the configuration says.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is less than one step, or the shift is not positive.</exception>
    public static FlowMatchEuler Create(SchedulerConfig config, int steps, int imageTokens, double? shift = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        return Create(config, FlowTables.Linspace(1, 1.0 / steps, steps), imageTokens, shift);
    }

    /// <summary>A schedule of the caller's own noise levels; they are shifted as the model's own would be.</summary>
    /// <param name="config">The model's scheduler configuration.</param>
    /// <param name="sigmas">Level before each step: falling, above 0, at most 1. The 0 after the last step is added.</param>
    /// <param name="imageTokens">Tokens of the picture as the transformer sees them; used by dynamic shifting alone.</param>
    /// <param name="shift">A static shift to use instead of what the configuration says; 1 takes the levels as they are.</param>
    /// <exception cref="ArgumentException">There are no levels, they do not fall within (0, 1], or the shift is not positive.</exception>
    public static FlowMatchEuler Create(SchedulerConfig config, IReadOnlyList<double> sigmas, int imageTokens, double? shift = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(sigmas);
        FlowTables.CheckArguments(Math.Max(1, sigmas.Count), shift ?? config.Shift, config.TrainTimesteps);
        CheckLevels(sigmas);
        float[] table = new float[sigmas.Count + 1];
        double mu = config.Mu(imageTokens);
        for (int i = 0; i < sigmas.Count; i++)
        {
            float t = (float)sigmas[i];
            table[i] = config.UseDynamicShifting && shift is null
                ? FlowTables.ShiftDynamically(t, mu)
                : FlowTables.Shift(t, shift ?? config.Shift);
        }

        return new FlowMatchEuler(table, config.TrainTimesteps);
    }

    /// <inheritdoc/>
    public void Step(int index, Span<float> latents, ReadOnlySpan<float> modelOutput) =>
        FlowTables.EulerStep(_sigmas, index, latents, modelOutput);

    private static void CheckLevels(IReadOnlyList<double> sigmas)
    {
        double previous = double.BitIncrement(1);
        foreach (double sigma in sigmas)
        {
            if (!(sigma > 0 && sigma < previous))
            {
                throw new ArgumentException($"sigmas must fall from at most 1 to above 0, but {sigma} is outside or out of order", nameof(sigmas));
            }

            previous = sigma;
        }

        if (sigmas.Count == 0)
        {
            throw new ArgumentException("sigmas must have at least one number", nameof(sigmas));
        }
    }
}
