namespace DiCacheNative.Sampling;

/// <summary>
/// What the multistep solvers share: the noise levels of WAN 2.1, the logarithmic signal-to-noise ratio lambda = ln((1 - s) / s), and
/// the model's last predictions of the picture, x - s v.
/// </summary>
internal sealed class FlowHistory
{
    private readonly float[] _sigmas;
    private readonly float[] _timesteps;
    private readonly float[][] _predictions;
    private int _length;
    private int _next;

    /// <summary>Levels from <paramref name="top"/> down in equal steps, shifted in binary64 and then rounded.</summary>
    internal FlowHistory(int steps, double top, double shift, int trainTimesteps, int predictionsKept)
    {
        FlowTables.CheckArguments(steps, shift, trainTimesteps);
        _predictions = new float[predictionsKept][];
        Array.Fill(_predictions, []);
        double[] levels = FlowTables.Linspace(top, 0, steps + 1);
        _sigmas = new float[steps + 1];
        _timesteps = new float[steps];
        for (int i = 0; i < steps; i++)
        {
            double sigma = FlowTables.Shift(levels[i], shift);
            _sigmas[i] = (float)sigma;
            // Truncated to a whole number, as published, and before the level is rounded.
            _timesteps[i] = (long)(sigma * trainTimesteps);
        }
    }

    internal IReadOnlyList<float> Sigmas => _sigmas;

    internal IReadOnlyList<float> Timesteps => _timesteps;

    internal int Steps => _timesteps.Length;

    /// <summary>Number of predictions made so far in this generation.</summary>
    internal int Count { get; private set; }

    /// <summary>A prediction by its age in steps: 0 for that of this step.</summary>
    internal ReadOnlySpan<float> Prediction(int age) => _predictions[age];

    /// <summary>Checks a step and adds its prediction.</summary>
    /// <returns>True when this is the first step of a generation.</returns>
    internal bool Begin(int index, ReadOnlySpan<float> latents, ReadOnlySpan<float> modelOutput)
    {
        FlowTables.CheckStep(index, Steps, latents.Length, modelOutput.Length);
        if (index == 0)
        {
            Count = 0;
        }
        else if (Count > 0 && (index != _next || latents.Length != _length))
        {
            throw new ArgumentException($"step {index} with {latents.Length} latents does not follow step {_next - 1} with {_length}");
        }

        if (_length != latents.Length)
        {
            _length = latents.Length;
            for (int i = 0; i < _predictions.Length; i++)
            {
                _predictions[i] = new float[_length];
            }
        }

        float[] now = _predictions[^1];
        Array.Copy(_predictions, 0, _predictions, 1, _predictions.Length - 1);
        _predictions[0] = now;
        float sigma = _sigmas[index];
        for (int i = 0; i < latents.Length; i++)
        {
            now[i] = latents[i] - (sigma * modelOutput[i]);
        }

        _next = index + 1;
        return Count++ == 0;
    }

    /// <summary>ln((1 - s) / s) of a level: minus infinity at 1, plus infinity at 0.</summary>
    internal double Lambda(int index) => Math.Log(1.0 - _sigmas[index]) - Math.Log(_sigmas[index]);

    /// <summary>What an exact step with a constant prediction takes from one level to another.</summary>
    /// <returns>s'/s; alpha' = 1 - s'; phi = e^-h - 1; and h, the step in lambda.</returns>
    internal (double Ratio, double Alpha, double Phi, double Width) Interval(int from, int to)
    {
        double width = Lambda(to) - Lambda(from);
        return ((double)_sigmas[to] / _sigmas[from], 1.0 - _sigmas[to], ExpM1(-width), width);
    }

    /// <summary>e^x - 1 without cancellation near 0 (Kahan's form).</summary>
    private static double ExpM1(double x)
    {
        double u = Math.Exp(x);
        return u == 1 ? x : u - 1 == -1 ? -1 : (u - 1) * x / Math.Log(u);
    }
}
