namespace DiCacheNative.Sampling;

/// <summary>
/// DPM-Solver++ of second order (midpoint form, Lu et al. 2022) for flow matching, as WAN 2.1 uses it: noise levels from 1 down,
/// shifted; first order at the first and the last step.
/// </summary>
/// <remarks>Tables equal the published FlowDPMSolverMultistepScheduler exactly; coefficients are computed in binary64.</remarks>
public sealed class DpmPlusPlusFlow : ISampler
{
    private readonly FlowHistory _history;

    /// <summary>Makes the schedule.</summary>
    /// <param name="steps">Number of steps, N; at least 1.</param>
    /// <param name="shift">Shift towards noise: WAN 2.1 uses 5, 3 for image-to-video at 480p, and 8 for the 1.3B model.</param>
    /// <param name="trainTimesteps">Timestep of noise level 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is less than one step, or the shift is not positive.</exception>
    public DpmPlusPlusFlow(int steps, double shift = 5, int trainTimesteps = 1000) =>
        _history = new FlowHistory(steps, 1, shift, trainTimesteps, predictionsKept: 2);

    /// <inheritdoc/>
    public IReadOnlyList<float> Sigmas => _history.Sigmas;

    /// <summary>What the model is told at each step: whole numbers.</summary>
    public IReadOnlyList<float> Timesteps => _history.Timesteps;

    /// <inheritdoc/>
    public void Step(int index, Span<float> latents, ReadOnlySpan<float> modelOutput)
    {
        FlowHistory h = _history;
        bool first = h.Begin(index, latents, modelOutput) || index == h.Steps - 1;
        (double ratio, double alpha, double phi, double width) = h.Interval(index, index + 1);

        // x' = (s'/s) x - alpha' phi (m0 + (m0 - m1) / (2 r)), where r is the previous interval over this one. At noise level 1 lambda
        // is minus infinity, so the previous interval may be infinite; its weight is then 0, as it should be.
        double slope = first ? 0 : 0.5 * width / (h.Lambda(index) - h.Lambda(index - 1));
        double now = -alpha * phi * (1 + slope), before = alpha * phi * slope;
        ReadOnlySpan<float> m0 = h.Prediction(0), m1 = first ? m0 : h.Prediction(1);
        for (int i = 0; i < latents.Length; i++)
        {
            latents[i] = (float)((ratio * latents[i]) + (now * m0[i]) + (before * m1[i]));
        }
    }
}
