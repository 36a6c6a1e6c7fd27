using System.Globalization;
using System.Text.Json;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>schedulers: tables of noise levels and time steps, and step-by-step runs. They need no backend.</summary>
internal static class SchedulerGolden
{
    // A sigma, and a time step of up to 1000, to the last bits of binary32; a run to the reference's own rounding.
    private const double SigmaGate = 1e-6;
    private const double TimestepGate = 1e-3;
    private const double RunGate = 2e-6;

    private static readonly Dictionary<string, string> s_settings = new()
    {
        ["image_seq_len"] = "a setting",
        ["shift"] = "a setting",
        ["reverse"] = "a setting",
        ["mu"] = "shows in every noise level",
        ["sigmas"] = "compared number by number",
        ["timesteps"] = "compared number by number",
    };

    private static readonly Dictionary<string, string> s_order = new()
    {
        ["order"] = "shows in the samples",
        ["predictor_order"] = "shows in the samples",
        ["corrector_used"] = "shows in the corrected samples",
    };

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        JsonElement root = GoldenFolder.ReadJson(folder, "schedulers.json");
        string[] runs = [.. root.GetProperty("stepping").EnumerateArray().Select(r => r.GetProperty("name").GetString()!)];
        yield return GoldenFolder.Inventory(folder, name, "steps.safetensors", runs, ["model_outputs", "samples"], ["corrected_samples"]);
        yield return GoldenFolder.Inventory(folder, name, "steps.f64.safetensors", runs, ["samples"], ["corrected_samples"]);
        foreach (JsonProperty property in root.EnumerateObject())
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
                yield return new GoldenCase($"{name}/{id}", _ => Run(folder, $"{name}/{id}", id, run));
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
        foreach ((int index, JsonElement entry) in entries.EnumerateArray().Index())
        {
            ISampler sampler = FromTable(table, entry);
            comparer.Tensor("sigmas", [.. sampler.Sigmas], Numbers(entry.GetProperty("sigmas")), SigmaGate);
            comparer.Tensor("timesteps", [.. sampler.Timesteps], Numbers(entry.GetProperty("timesteps")), TimestepGate);
            comparer.Record(new Dictionary<string, object?> { ["steps"] = sampler.Sigmas.Count - 1 }, entry, $"entry {index}", s_settings);
        }

        return comparer.Result(name);
    }

    private static VerifyResult Run(string folder, string name, string run, JsonElement record)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "steps.safetensors")),
            exact = SafetensorsFile.Open(Path.Combine(folder, "steps.f64.safetensors"));
        float[] outputs = file.Get(run + "/model_outputs").ToArray();
        int steps = file.Get(run + "/model_outputs").Shape[0], length = outputs.Length / steps;
        ISampler sampler = FromRun(run, steps);
        Comparer comparer = new();

        // The binary32 run of the reference, and its binary64 run, from which it lies away by the floor.
        double floor = Comparer.Number(record.GetProperty("noise_floor_f32_vs_f64"), "max_abs") ?? 0;
        float[] x = [.. file.Get(run + "/samples").ToDoubles()[..length].Select(v => (float)v)];
        string[] parts = sampler is UniPcFlow ? ["samples", "corrected_samples"] : ["samples"];
        foreach (string part in parts)
        {
            comparer.Expect([part, part + " in binary64"], "a run of the solver");
        }

        Compare("samples in binary64", x, exact, 0, RunGate, "samples");
        foreach ((int i, JsonElement step) in record.GetProperty("steps").EnumerateArray().Take(steps).Index())
        {
            Dictionary<string, object?> facts =
                new() { ["step"] = i, ["sigma"] = sampler.Sigmas[i], ["sigma_next"] = sampler.Sigmas[i + 1], ["timestep"] = sampler.Timesteps[i] };
            comparer.Record(facts, step, $"step {i}", s_order);
            sampler.Step(i, x, outputs.AsSpan(i * length, length));
            foreach (string part in parts)
            {
                float[] actual = part == "samples" ? x : [.. ((UniPcFlow)sampler).Corrected];
                int at = part == "samples" ? i + 1 : i;
                Compare(part, actual, file, at, RunGate);
                Compare(part + " in binary64", actual, exact, at, RunGate + (4 * floor), part);
            }
        }

        if (record.GetProperty("steps").GetArrayLength() != steps)
        {
            comparer.Gap($"{record.GetProperty("steps").GetArrayLength()} steps are recorded of a run of {steps}");
        }

        return comparer.Result(name);

        void Compare(string label, float[] actual, SafetensorsFile source, int row, double gate, string? part = null)
        {
            if (source.Tensors.TryGetValue($"{run}/{part ?? label}", out HostTensor series))
            {
                comparer.Tensor(label, actual, row < series.Shape[0] ? series.Rows(row, 1).ToDoubles() : [], gate);
            }
        }
    }

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(v => (double)v.GetSingle())];
}
