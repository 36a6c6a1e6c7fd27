using System.Text.Json;
using DiCacheNative.Sampling;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Sampling;

/// <summary>The samplers against tables and runs of the published schedulers.</summary>
public sealed class SchedulerGoldenTests
{
    private static readonly string Folder = Repository.File("tests", "golden", "schedulers");
    private static readonly JsonElement Golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Folder, "schedulers.json"))).RootElement;

    public static TheoryData<string> Tables => [.. Golden.EnumerateObject().Where(p => p.Name != "stepping").Select(p => p.Name)];

    public static TheoryData<string> Runs => [.. Golden.GetProperty("stepping").EnumerateArray().Select(r => r.GetProperty("name").GetString()!)];

    [Theory]
    [MemberData(nameof(Tables))]
    public void Tables_equal_the_published_ones_bit_for_bit(string table)
    {
        int count = 0;
        foreach (JsonElement e in Golden.GetProperty(table).EnumerateArray())
        {
            ISampler sampler = FromTable(table, e);
            Assert.Equal(Floats(e.GetProperty("sigmas")), sampler.Sigmas);
            Assert.Equal(Floats(e.GetProperty("timesteps")), sampler.Timesteps);
            count++;
        }

        Assert.True(count >= 5);
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void Runs_stay_within_rounding_of_the_published_ones(string name)
    {
        using SafetensorsFile f32 = SafetensorsFile.Open(Path.Combine(Folder, "steps.safetensors"));
        using SafetensorsFile f64 = SafetensorsFile.Open(Path.Combine(Folder, "steps.f64.safetensors"));
        float[] samples = f32.Get(name + "/samples").ToArray(), outputs = f32.Get(name + "/model_outputs").ToArray();
        double[] exact = f64.Get(name + "/samples").ToDoubles();
        int steps = f32.Get(name + "/model_outputs").Shape[0], length = outputs.Length / steps;
        ISampler sampler = FromRun(name, steps);
        float[] x = samples[..length];
        double worst = 0, worstExact = 0;
        for (int i = 0; i < steps; i++)
        {
            sampler.Step(i, x, outputs.AsSpan(i * length, length));
            for (int k = 0; k < length; k++)
            {
                worst = Math.Max(worst, Math.Abs(x[k] - samples[((i + 1) * length) + k]));
                worstExact = Math.Max(worstExact, Math.Abs(x[k] - exact[((i + 1) * length) + k]));
            }

            if (sampler is UniPcFlow uniPc)
            {
                float[] corrected = f32.Get(name + "/corrected_samples").ToArray();
                for (int k = 0; k < length; k++)
                {
                    worst = Math.Max(worst, Math.Abs(uniPc.Corrected[k] - corrected[(i * length) + k]));
                }
            }
        }

        // The published binary32 runs are up to 6e-7 away from binary64 runs of the same formulas. Euler's method rounds in one way only.
        double floor = sampler is FlowMatchEuler or FlowMatchDiscrete ? 0 : 6e-7;
        Assert.True(worst <= floor, $"{worst} from the published run");
        Assert.True(worstExact <= 6e-7, $"{worstExact} from the exact run");
    }

    private static ISampler FromTable(string table, JsonElement e)
    {
        int steps = e.GetProperty("steps").GetInt32();
        double shift = e.TryGetProperty("shift", out JsonElement s) ? s.GetDouble() : 1;
        SchedulerConfig config = new() { Shift = shift, UseDynamicShifting = table == "flux_dev_dynamic_shift" };
        switch (table)
        {
            case "flux_dev_dynamic_shift":
                int tokens = e.GetProperty("image_seq_len").GetInt32();
                Assert.Equal(e.GetProperty("mu").GetDouble(), config.Mu(tokens), 15);
                return FlowMatchEuler.Create(config, steps, tokens);
            case "flux_schnell_no_shift" or "flow_match_euler_static_shift":
                return FlowMatchEuler.Create(config, steps, 4096);
            case "hunyuan_flow_match_discrete":
                return new FlowMatchDiscrete(steps, shift, e.GetProperty("reverse").GetBoolean());
            case "wan_unipc":
                return new UniPcFlow(steps, shift);
            case "wan_dpmpp":
                return new DpmPlusPlusFlow(steps, shift);
            default:
                throw new NotSupportedException($"no sampler is known for the table {table}");
        }
    }

    /// <summary>Names are as in wan_unipc-steps20-shift8 and flux_euler-steps4-seq1024.</summary>
    private static ISampler FromRun(string name, int steps)
    {
        string[] parts = name.Split('-');
        int number = int.Parse(string.Concat(parts[2].Where(char.IsDigit)), null);
        return parts[0] switch
        {
            "flux_euler" => FlowMatchEuler.Create(new SchedulerConfig { UseDynamicShifting = true }, steps, number),
            "hunyuan_euler" => new FlowMatchDiscrete(steps, number),
            "wan_unipc" => new UniPcFlow(steps, number),
            "wan_dpmpp" => new DpmPlusPlusFlow(steps, number),
            _ => throw new NotSupportedException($"no sampler is known for the run {name}"),
        };
    }

    private static float[] Floats(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetSingle())];
}
