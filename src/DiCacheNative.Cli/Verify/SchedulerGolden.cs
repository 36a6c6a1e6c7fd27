using System.Globalization;
using System.Text.Json;
using DiCacheNative.Sampling;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>schedulers: tables of noise levels and time steps, and step-by-step runs. They need no backend.</summary>
internal static class SchedulerGolden
{
    // A sigma, and a time step of up to 1000, to the last bits of binary32; a run to the reference's own rounding.
    private const double SigmaGate = 1e-6;
    private const double TimestepGate = 1e-3;
    private const double RunGate = 2e-6;

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        foreach (JsonProperty property in GoldenFolder.ReadJson(folder, "schedulers.json").EnumerateObject())
        {
            string key = property.Name;
            JsonElement value = property.Value;
            if (key != "stepping")
            {
                yield return new GoldenCase($"{name}/{key}", _ => Tables($"{name}/{key}", key, value));
                continue;
            }

            foreach (JsonElement run in value.EnumerateArray())
            {
                string id = run.GetProperty("name").GetString()!;
                yield return new GoldenCase($"{name}/{id}", _ => Run(folder, $"{name}/{id}", id));
            }
        }
    }

    /// <summary>The sampler of an entry of a table.</summary>
    /// <exception cref="ModelFormatException">No sampler is known for the table.</exception>
    public static ISampler FromTable(string table, JsonElement entry)
    {
        int steps = entry.GetProperty("steps").GetInt32(), tokens = entry.TryGetProperty("image_seq_len", out JsonElement length) ? length.GetInt32() : 0;
        double shift = entry.TryGetProperty("shift", out JsonElement s) ? s.GetDouble() : 1;
        return table switch
        {
            "flux_dev_dynamic_shift" => FlowMatchEuler.Create(new SchedulerConfig { UseDynamicShifting = true }, steps, tokens),
            "flux_schnell_no_shift" or "flow_match_euler_static_shift" => FlowMatchEuler.Create(new SchedulerConfig { Shift = shift }, steps, tokens),
            "hunyuan_flow_match_discrete" => new FlowMatchDiscrete(steps, shift, entry.GetProperty("reverse").GetBoolean()),
            "wan_unipc" => new UniPcFlow(steps, shift),
            "wan_dpmpp" => new DpmPlusPlusFlow(steps, shift),
            _ => throw new ModelFormatException($"no sampler is known for the scheduler table {table}"),
        };
    }

    /// <summary>The sampler of a run, named as in wan_unipc-steps20-shift8 and flux_euler-steps4-seq1024.</summary>
    /// <exception cref="ModelFormatException">No sampler is known for the run.</exception>
    public static ISampler FromRun(string name, int steps)
    {
        string[] parts = name.Split('-');
        if (parts.Length != 3 || !double.TryParse(parts[2].TrimStart([.. "shiftseq"]), NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
        {
            throw new ModelFormatException($"the scheduler run {name} is not named as wan_unipc-steps20-shift8 or flux_euler-steps4-seq1024");
        }

        return parts[0] switch
        {
            "flux_euler" => FlowMatchEuler.Create(new SchedulerConfig { UseDynamicShifting = true }, steps, (int)number),
            "hunyuan_euler" => new FlowMatchDiscrete(steps, number),
            "wan_unipc" => new UniPcFlow(steps, number),
            "wan_dpmpp" => new DpmPlusPlusFlow(steps, number),
            _ => throw new ModelFormatException($"no sampler is known for the scheduler run {name}"),
        };
    }

    private static VerifyResult Tables(string name, string table, JsonElement entries)
    {
        Comparer comparer = new();
        foreach (JsonElement entry in entries.EnumerateArray())
        {
            ISampler sampler = FromTable(table, entry);
            comparer.Tensor("sigmas", [.. sampler.Sigmas], Numbers(entry.GetProperty("sigmas")), SigmaGate);
            comparer.Tensor("timesteps", [.. sampler.Timesteps], Numbers(entry.GetProperty("timesteps")), TimestepGate);
        }

        return comparer.Result(name);
    }

    private static VerifyResult Run(string folder, string name, string run)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "steps.safetensors"));
        float[] outputs = file.Get(run + "/model_outputs").ToArray();
        int steps = file.Get(run + "/model_outputs").Shape[0], length = outputs.Length / steps;
        double[] samples = file.Get(run + "/samples").ToDoubles();
        double[]? corrected = file.Tensors.ContainsKey(run + "/corrected_samples") ? file.Get(run + "/corrected_samples").ToDoubles() : null;
        ISampler sampler = FromRun(run, steps);
        float[] x = [.. samples[..length].Select(v => (float)v)];
        Comparer comparer = new();
        for (int i = 0; i < steps; i++)
        {
            sampler.Step(i, x, outputs.AsSpan(i * length, length));
            comparer.Tensor("samples", x, samples.AsSpan((i + 1) * length, length), RunGate);
            if (corrected is not null && sampler is UniPcFlow uniPc)
            {
                comparer.Tensor("corrected_samples", uniPc.Corrected, corrected.AsSpan(i * length, length), RunGate);
            }
        }

        return comparer.Result(name);
    }

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(v => (double)v.GetSingle())];
}
