using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>dicache-math: sums, gamma and blends on given tensors, special values included.</summary>
internal static class MathGolden
{
    // Inputs are widened exactly; the blend is three roundings in binary32, on values of any magnitude.
    private const double BlendGate = 1e-6;
    private static readonly string[] s_inputs =
        ["input_now", "input_prev", "probe_now", "probe_prev", "residual_older", "residual_newer", "probe_residual_older", "probe_residual_newer"];

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        JsonElement root = GoldenFolder.ReadJson(folder, "cases.json");
        foreach (JsonElement item in root.GetProperty("cases").EnumerateArray())
        {
            string id = item.GetProperty("name").GetString()!;
            yield return new GoldenCase($"{name}/{id}", backend => Run(backend, folder, $"{name}/{id}", item));
        }

        if (root.TryGetProperty("warmup_truncation", out JsonElement truncation))
        {
            yield return new GoldenCase($"{name}/warmup_truncation", _ => Truncation($"{name}/warmup_truncation", truncation));
        }
    }

    private static VerifyResult Run(IBackend backend, string folder, string name, JsonElement item)
    {
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using SafetensorsFile outputs = SafetensorsFile.Open(Path.Combine(folder, "outputs.safetensors"));
        string id = item.GetProperty("name").GetString()!;
        int count = checked((int)inputs.Tensors[$"{id}/input_now"].Count);
        using Arena arena = backend.CreateArena(64L * ((count * 4) + Arena.Alignment), "a golden case");
        Tensor Load(string part)
        {
            Tensor tensor = arena.Allocate(backend.ActivationType, 1, 1, count);
            backend.Upload(inputs.Tensors[$"{id}/{part}"].ToArray(), tensor);
            return tensor;
        }

        Tensor[] t = [.. s_inputs.Select(Load)];
        Tensor sums = arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), gammaAt = arena.Allocate(DType.F32, 1, 1, 1), into = arena.Allocate(backend.ActivationType, 1, 1, count);
        float[] values = new float[ProbeSums.Count], blended = new float[count];
        Comparer comparer = new();
        foreach (ProbeForm form in new[] { ProbeForm.Fused, ProbeForm.Unfused })
        {
            backend.ProbeL1(new ProbeInputs(t[2], t[3], t[0], t[1], t[6], t[7]), sums, form);
            backend.Download(sums, values);
            ProbeSums s = ProbeSums.From(values);
            float deltaX = s.InputChange / s.InputPrevious, deltaY = s.ProbeChange / s.ProbePrevious, raw = s.GammaNumerator / s.GammaDenominator;
            JsonElement expected = item.GetProperty("f64");
            void Check(string key, double actual)
            {
                if (Comparer.Number(expected, key) is { } value)
                {
                    comparer.Scalar(key, actual, value);
                }
            }

            Check("mean_abs_input_diff", s.InputChange / (double)count);
            Check("mean_abs_input_prev", s.InputPrevious / (double)count);
            Check("mean_abs_probe_diff", s.ProbeChange / (double)count);
            Check("mean_abs_probe_prev", s.ProbePrevious / (double)count);
            Check("delta_x", deltaX);
            Check("delta_y", deltaY);
            Check("delta_minus", MathF.Abs(deltaY - deltaX));
            Check("gamma_numerator", s.GammaNumerator / (double)count);
            Check("gamma_denominator", s.GammaDenominator / (double)count);
            Check("gamma_raw", raw);
            Check("gamma_clip_1_1.5", Math.Clamp(raw, 1f, 1.5f));
            Check("gamma_clip_1_2", Math.Clamp(raw, 1f, 2f));
            Decide(comparer, item, deltaX, deltaY);

            Blend(comparer, "blend_flux", Math.Clamp(raw, 1f, 1.5f), form);
            Blend(comparer, "blend_wan", Math.Clamp(raw, 1f, 2f), form);
            Blend(comparer, "blend_hunyuan", Math.Clamp(raw, 1f, 1.5f), form);
            Blend(comparer, "plain_reuse", null, form);
        }

        return comparer.Result(name);

        void Blend(Comparer comparer, string key, float? gamma, ProbeForm form)
        {
            if (!outputs.Tensors.TryGetValue($"{id}/{key}.f64", out HostTensor reference))
            {
                return;
            }

            backend.Upload([gamma ?? 0], gammaAt);
            backend.TrajectoryBlend(new BlendInputs(t[0], t[5], gamma is null ? default : t[4], gammaAt), into, form);
            backend.Download(into, blended);
            double[] expected = reference.ToDoubles();
            double scale = expected.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(1).Max();
            comparer.Tensor(key, blended, expected, BlendGate * Math.Max(1e-3, scale));
        }
    }

    private static void Decide(Comparer comparer, JsonElement item, float deltaX, float deltaY)
    {
        if (!item.TryGetProperty("skip_at_threshold_0.08", out JsonElement expected))
        {
            return;
        }

        foreach ((string key, DiCacheOptions options) in new[] { ("less_than", DiCacheOptions.Flux), ("less_or_equal", DiCacheOptions.Hunyuan) })
        {
            CacheVerdict verdict = new DiCachePolicy(options with { Threshold = 0.08f }).Decide(default, new ProbeChange(deltaX, deltaY), default);
            if (verdict.Skip != expected.GetProperty(key).GetBoolean())
            {
                comparer.Differs($"{key}: {(verdict.Skip ? "skip" : "compute")} at delta_y {deltaY}");
            }
        }
    }

    // int(ratio * steps) shows as the number of steps that a policy computes before it first asks for a probe.
    private static VerifyResult Truncation(string name, JsonElement rows)
    {
        Comparer comparer = new();
        foreach (JsonElement row in rows.EnumerateArray())
        {
            int steps = row.GetProperty("steps").GetInt32();
            DiCachePolicy policy = new(DiCacheOptions.Hunyuan with { RetRatio = row.GetProperty("ratio").GetDouble() });
            int warm = Enumerable.Range(0, 4 * steps).TakeWhile(i => policy.Plan(new StepInfo(i, steps, 0, 1, -1, 1), new LaneState(1, 0, 0)).Action == CacheAction.Full).Count();
            comparer.Equal($"{row.GetProperty("ratio").GetDouble()} x {steps}", warm == row.GetProperty("int").GetInt32());
        }

        return comparer.Result(name);
    }
}
