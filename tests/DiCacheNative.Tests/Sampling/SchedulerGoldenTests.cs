using System.Text.Json;
using DiCacheNative.Cli.Verify;
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
            ISampler sampler = SchedulerGolden.FromTable(table, e);
            if (e.TryGetProperty("mu", out JsonElement mu))
            {
                Assert.Equal(mu.GetDouble(), new SchedulerConfig { UseDynamicShifting = true }.Mu(e.GetProperty("image_seq_len").GetInt32()), 15);
            }

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
        ISampler sampler = SchedulerGolden.FromRun(name, steps);
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

    private static float[] Floats(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetSingle())];
}
