namespace DiCacheNative.Sampling;

/// <summary>Tables of noise levels, in the arithmetic of the published schedulers so that they agree to the last bit.</summary>
internal static class FlowTables
{
    /// <summary>The <c>linspace</c> of NumPy, in binary64.</summary>
    internal static double[] Linspace(double start, double stop, int count)
    {
        double[] values = new double[count];
        double step = count > 1 ? (stop - start) / (count - 1) : 0;
        for (int i = 0; i < count; i++)
        {
            values[i] = (i * step) + start;
        }

        if (count > 1)
        {
            values[^1] = stop;
        }

        return values;
    }

    /// <summary>
    /// The <c>linspace(1, 0, count)</c> of PyTorch in binary32: from the start in the first half and from the end in the second; while
    /// 16 numbers remain, only every eighth is computed so and the seven after it are counted from there.
    /// </summary>
    internal static float[] TorchLinspaceDown(int count)
    {
        float[] values = new float[count];
        float step = -1f / (count - 1);
        float At(int i) => i < count / 2 ? 1 + (step * i) : 0 - (step * (count - 1 - i));
        int pairs = count / 16 * 16;
        for (int i = 0; i < count; i++)
        {
            values[i] = i < pairs ? At(i / 8 * 8) + (step * (i % 8)) : At(i);
        }

        return values;
    }

    /// <summary>s t / (1 + (s - 1) t) in binary32.</summary>
    internal static float Shift(float t, double shift) => (float)shift * t / (1 + ((float)(shift - 1) * t));

    /// <summary>s t / (1 + (s - 1) t) in binary64.</summary>
    internal static double Shift(double t, double shift) => shift * t / (1 + ((shift - 1) * t));

    /// <summary>The shift that depends on the picture's size, e^mu / (e^mu + (1/t - 1)), in binary32.</summary>
    internal static float ShiftDynamically(float t, double mu)
    {
        float e = (float)Math.Exp(mu);
        return e / (e + ((1 / t) - 1));
    }

    /// <summary>Levels times the training steps, in binary32; the last level (after the last step) has none.</summary>
    internal static float[] Timesteps(float[] sigmas, int trainTimesteps)
    {
        float[] timesteps = new float[sigmas.Length - 1];
        for (int i = 0; i < timesteps.Length; i++)
        {
            timesteps[i] = sigmas[i] * trainTimesteps;
        }

        return timesteps;
    }

    /// <summary>Refuses what no schedule can be made of.</summary>
    internal static void CheckArguments(int steps, double shift, int trainTimesteps)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(trainTimesteps, 2);
        if (!(shift > 0 && double.IsFinite(shift)))
        {
            throw new ArgumentOutOfRangeException(nameof(shift), shift, "the shift must be a positive number");
        }
    }

    /// <summary>Refuses a step whose arguments do not fit.</summary>
    internal static void CheckStep(int index, int steps, int latents, int modelOutput)
    {
        if ((uint)index >= (uint)steps)
        {
            ThrowStep($"there is no step {index}: the schedule has {steps}, counted from 0");
        }

        if (latents != modelOutput)
        {
            ThrowStep($"the model gave {modelOutput} values for {latents} latents");
        }
    }

    /// <summary>x += (sigma[i + 1] - sigma[i]) v: the product is rounded before the sum, as in PyTorch.</summary>
    internal static void EulerStep(float[] sigmas, int index, Span<float> latents, ReadOnlySpan<float> modelOutput)
    {
        CheckStep(index, sigmas.Length - 1, latents.Length, modelOutput.Length);
        float dt = sigmas[index + 1] - sigmas[index];
        for (int i = 0; i < latents.Length; i++)
        {
            latents[i] += dt * modelOutput[i];
        }
    }

    private static void ThrowStep(string message) => throw new ArgumentException(message);
}
