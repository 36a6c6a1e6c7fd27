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
    private static readonly string[] s_blends = ["blend_flux", "blend_wan", "blend_hunyuan", "plain_reuse"];

    private static readonly Dictionary<string, string> s_notCompared = new()
    {
        ["kind"] = "what the numbers are",
        ["dtype"] = "how they are stored",
        ["shape"] = "shape of the inputs, which are taken as they lie",
        ["f64"] = "compared member by member",
        ["torch_cpu_f32"] = "the reference's own binary32 run: its rounding is not ours",
        ["torch_cpu_native"] = "the reference's run in the stored type: its rounding is not ours",
        ["torch_cpu_native_error"] = "why that run failed",
        ["rounded_each_op"] = "the same with each operation rounded",
        ["skip_at_threshold_0.08"] = "compared member by member",
    };

    private static readonly Dictionary<string, string> s_product = new() { ["product"] = "the ratio times the steps before truncation" };

    private static readonly string[] s_inputs =
        ["input_now", "input_prev", "probe_now", "probe_prev", "residual_older", "residual_newer", "probe_residual_older", "probe_residual_newer"];

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        JsonElement root = GoldenFolder.ReadJson(folder, "cases.json");
        string[] names = [.. root.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("name").GetString()!)];
        yield return GoldenFolder.Inventory(folder, name, "inputs.safetensors", names, s_inputs);
        yield return GoldenFolder.Inventory(folder, name, "outputs.safetensors", names, [.. s_blends.Select(b => b + ".f64")]);
        foreach (JsonElement item in root.GetProperty("cases").EnumerateArray())
        {
            string id = item.GetProperty("name").GetString()!;
            yield return new GoldenCase($"{name}/{id}", backend => Run(backend, folder, $"{name}/{id}", item));
        }

        yield return new GoldenCase($"{name}/warmup_truncation", _ => Truncation($"{name}/warmup_truncation", root.GetProperty("warmup_truncation")));
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
        Tensor sums = arena.Allocate(DType.F32, 1, 1, ProbeSums.Count), gammaAt = arena.Allocate(DType.F32, 1, 1, 1),
            into = arena.Allocate(backend.ActivationType, 1, 1, count);
        float[] values = new float[ProbeSums.Count], blended = new float[count];
        Comparer comparer = new();
        comparer.Record(new Dictionary<string, object?> { ["name"] = id }, item, "the case", s_notCompared);
        comparer.Expect(s_blends, "outputs.safetensors");
        foreach (ProbeForm form in new[] { ProbeForm.Fused, ProbeForm.Unfused })
        {
            backend.ProbeL1(new ProbeInputs(t[2], t[3], t[0], t[1], t[6], t[7]), sums, form);
            backend.Download(sums, values);
            ProbeSums s = ProbeSums.From(values);
            float deltaX = s.InputChange / s.InputPrevious, deltaY = s.ProbeChange / s.ProbePrevious, raw = s.GammaNumerator / s.GammaDenominator;
            Dictionary<string, object?> facts = new()
            {
                ["mean_abs_input_diff"] = s.InputChange / (double)count,
                ["mean_abs_input_prev"] = s.InputPrevious / (double)count,
                ["mean_abs_probe_diff"] = s.ProbeChange / (double)count,
                ["mean_abs_probe_prev"] = s.ProbePrevious / (double)count,
                ["delta_x"] = deltaX,
                ["delta_y"] = deltaY,
                ["delta_minus"] = MathF.Abs(deltaY - deltaX),
                ["gamma_numerator"] = s.GammaNumerator / (double)count,
                ["gamma_denominator"] = s.GammaDenominator / (double)count,
                ["gamma_raw"] = raw,
                ["gamma_clip_1_1.5"] = Math.Clamp(raw, 1f, 1.5f),
                ["gamma_clip_1_2"] = Math.Clamp(raw, 1f, 2f),
            };
            comparer.Record(facts, item.GetProperty("f64"), $"form {form}");
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
        bool Skips(DiCacheOptions options) => new DiCachePolicy(options with { Threshold = 0.08f }).Decide(default, new ProbeChange(deltaX, deltaY),
            default).Skip;
        Dictionary<string, object?> facts = new() { ["less_than"] = Skips(DiCacheOptions.Flux), ["less_or_equal"] = Skips(DiCacheOptions.Hunyuan) };
        comparer.Record(facts, item.GetProperty("skip_at_threshold_0.08"), $"at delta_y {deltaY}");
    }

    // int(ratio * steps) shows as the number of steps that a policy computes before it first asks for a probe.
    private static VerifyResult Truncation(string name, JsonElement rows)
    {
        Comparer comparer = new();
        foreach (JsonElement row in rows.EnumerateArray())
        {
            int steps = row.GetProperty("steps").GetInt32();
            DiCachePolicy policy = new(DiCacheOptions.Hunyuan with { RetRatio = row.GetProperty("ratio").GetDouble() });
            int warm = Enumerable.Range(0, 4 * steps).TakeWhile(i =>
                policy.Plan(new StepInfo(i, steps, 0, 1, -1, 1), new LaneState(1, 0, 0)).Action == CacheAction.Full).Count();
            double ratio = row.GetProperty("ratio").GetDouble();
            comparer.Record(new Dictionary<string, object?> { ["int"] = warm, ["ratio"] = ratio, ["steps"] = steps }, row, $"{ratio} x {steps}", s_product);
        }

        return comparer.Result(name);
    }
}
