namespace DiCacheNative.Sampling;

/// <summary>
/// UniPC (Zhao et al. 2023) of second order with B(h) = e^h - 1 for flow matching, as WAN 2.1 uses it: a predictor, and from the second
/// step on a corrector that revises the latents with what the model has just said about them. Noise levels start at 0.999, shifted;
/// the last step is of first order.
/// </summary>
/// <remarks>Tables equal the published FlowUniPCMultistepScheduler exactly; coefficients are computed in binary64.</remarks>
public sealed class UniPcFlow : ISampler
{
    private readonly FlowHistory _history;
    private float[] _corrected = [];
    private int _order;

    /// <summary>Makes the schedule.</summary>
    /// <param name="steps">Number of steps, N; at least 1.</param>
    /// <param name="shift">Shift towards noise: WAN 2.1 uses 5, 3 for image-to-video at 480p, and 8 for the 1.3B model.</param>
    /// <param name="trainTimesteps">Number of noise levels in training; the highest used is 1 - 1/this.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is less than one step, or the shift is not positive.</exception>
    public UniPcFlow(int steps, double shift = 5, int trainTimesteps = 1000) =>
        // The published table of training levels is kept in binary32, hence the rounded start.
        _history = new FlowHistory(steps, (float)(1 - (1.0 / trainTimesteps)), shift, trainTimesteps, predictionsKept: 3);

    /// <inheritdoc/>
    public IReadOnlyList<float> Sigmas => _history.Sigmas;

    /// <summary>What the model is told at each step: whole numbers.</summary>
    public IReadOnlyList<float> Timesteps => _history.Timesteps;

    /// <summary>The latents of the last step after the corrector and before the predictor; empty before the first.</summary>
    public ReadOnlySpan<float> Corrected => _corrected;

    /// <inheritdoc/>
    public void Step(int index, Span<float> latents, ReadOnlySpan<float> modelOutput)
    {
        bool first = _history.Begin(index, latents, modelOutput);
        if (first && _corrected.Length != latents.Length)
        {
            _corrected = new float[latents.Length];
        }

        if (first)
        {
            latents.CopyTo(_corrected);
        }
        else
        {
            Correct(index);
        }

        _order = Math.Min(Math.Min(2, _history.Steps - index), _history.Count);
        Predict(index, latents);
    }

    /// <summary>Takes the step from <paramref name="index"/> - 1 once more, now knowing the prediction at its end.</summary>
    private void Correct(int index)
    {
        FlowHistory h = _history;
        (double ratio, double alpha, double phi, double width) = h.Interval(index - 1, index);
        double end = 0.5, before = 0;
        if (_order == 2)
        {
            // Weights of the two differences that match the first two terms of the expansion in the step's width.
            double r = (h.Lambda(index - 2) - h.Lambda(index - 1)) / width;
            double p1 = (phi / -width) - 1, p2 = (p1 / -width) - 0.5;
            double b1 = p1 / phi, b2 = 2 * p2 / phi;
            double rho = (b2 - b1) / (r - 1);
            (before, end) = (rho / r, b1 - rho);
        }

        double scale = -alpha * phi;
        double c0 = scale * end, c1 = scale * (1 - before - end), c2 = scale * before;
        ReadOnlySpan<float> m0 = h.Prediction(0), m1 = h.Prediction(1), m2 = _order == 2 ? h.Prediction(2) : m1;
        float[] x = _corrected;
        for (int i = 0; i < x.Length; i++)
        {
            x[i] = (float)((ratio * x[i]) + (c0 * m0[i]) + (c1 * m1[i]) + (c2 * m2[i]));
        }
    }

    /// <summary>Steps from the corrected latents to the next level.</summary>
    private void Predict(int index, Span<float> latents)
    {
        FlowHistory h = _history;
        (double ratio, double alpha, double phi, double width) = h.Interval(index, index + 1);
        double before = _order == 2 ? 0.5 * width / (h.Lambda(index - 1) - h.Lambda(index)) : 0;
        double scale = -alpha * phi;
        double c0 = scale * (1 - before), c1 = scale * before;
        ReadOnlySpan<float> m0 = h.Prediction(0), m1 = _order == 2 ? h.Prediction(1) : m0, x = _corrected;
        for (int i = 0; i < latents.Length; i++)
        {
            latents[i] = (float)((ratio * x[i]) + (c0 * m0[i]) + (c1 * m1[i]));
        }
    }
}
