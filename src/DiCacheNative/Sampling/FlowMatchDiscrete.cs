namespace DiCacheNative.Sampling;

/// <summary>
/// Euler's method for flow matching with the noise levels of HunyuanVideo: 1 down to 0 in N equal steps, shifted, in binary32. The
/// published FlowMatchDiscreteScheduler to the last bit.
/// </summary>
public sealed class FlowMatchDiscrete : ISampler
{
    private readonly float[] _sigmas;
    private readonly float[] _timesteps;

    /// <summary>Makes the schedule.</summary>
    /// <param name="steps">Number of steps, N; at least 1.</param>
    /// <param name="shift">Shift towards noise: 7 for HunyuanVideo, 17 for its distilled model.</param>
    /// <param name="reverse">True to run from noise (1) to picture (0), as HunyuanVideo does; false to run from 0 to 1.</param>
    /// <param name="trainTimesteps">Timestep of noise level 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is less than one step, or the shift is not positive.</exception>
    public FlowMatchDiscrete(int steps, double shift = 7, bool reverse = true, int trainTimesteps = 1000)
    {
        FlowTables.CheckArguments(steps, shift, trainTimesteps);
        _sigmas = FlowTables.TorchLinspaceDown(steps + 1);
        foreach (ref float sigma in _sigmas.AsSpan())
        {
            float shifted = FlowTables.Shift(sigma, shift);
            sigma = reverse ? shifted : 1 - shifted;
        }

        _timesteps = FlowTables.Timesteps(_sigmas, trainTimesteps);
    }

    /// <inheritdoc/>
    public IReadOnlyList<float> Sigmas => _sigmas;

    /// <inheritdoc/>
    public IReadOnlyList<float> Timesteps => _timesteps;

    /// <inheritdoc/>
    public void Step(int index, Span<float> latents, ReadOnlySpan<float> modelOutput) =>
        FlowTables.EulerStep(_sigmas, index, latents, modelOutput);
}
