using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>dicache-controller: the caching rules of the three published scripts on a scripted backbone.</summary>
internal static class ControllerGolden
{
    private const double OutputGate = 1e-5;

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        foreach (JsonElement record in GoldenFolder.ReadJson(folder, "records.json").EnumerateArray())
        {
            string id = $"{name}/{record.GetProperty("name").GetString()}";
            yield return new GoldenCase(id, backend => Run(backend, folder, id, record));
        }
    }

    /// <summary>The settings of a published script with the values of a case.</summary>
    public static DiCacheOptions Options(string variant, JsonElement config)
    {
        DiCacheOptions profile = variant switch
        {
            "flux" => DiCacheOptions.Flux,
            "wan" => DiCacheOptions.Wan,
            "hunyuan" => DiCacheOptions.Hunyuan,
            _ => throw new ModelFormatException($"golden case of an unknown variant {variant}; known are flux, wan and hunyuan"),
        };
        return profile with
        {
            Threshold = (float)config.GetProperty("rel_l1_thresh").GetDouble(),
            RetRatio = config.GetProperty("ret_ratio").GetDouble(),
            ProbeDepth = config.GetProperty("probe_depth").GetInt32(),
            Error = config.TryGetProperty("error_choice", out JsonElement e) && e.ValueKind == JsonValueKind.String && e.GetString() == "delta_minus"
                ? ProbeError.DeltaMinus : ProbeError.DeltaY,
        };
    }

    private static VerifyResult Run(IBackend backend, string folder, string name, JsonElement record)
    {
        using SafetensorsFile scripts = SafetensorsFile.Open(Path.Combine(folder, "scripts.safetensors"));
        string id = record.GetProperty("name").GetString()!, variant = record.GetProperty("variant").GetString()!;
        JsonElement config = record.GetProperty("config");
        HostTensor x = scripts.Tensors[id + "/x"], adds = scripts.Tensors[id + "/block_add"], output = scripts.Tensors[id + "/output"];
        int calls = x.Shape[0], rows = x.Shape[^2], width = x.Shape[^1], each = rows * width, blocks = adds.Shape[1];
        int branches = variant == "wan" ? 2 : 1, callsPerRun = config.GetProperty("num_steps").GetInt32();
        float[] inputs = x.ToArray(), scripted = adds.ToArray(), velocity = new float[each];
        double[] expected = output.ToDoubles();

        using ScriptedProgram program = new(backend, rows, width, blocks);
        using DiTSession session = new(program, new DiCachePolicy(Options(variant, config)), new SessionOptions { Branches = branches, KeepTrace = true, MeasureInput = true });
        float[] sigmas = [.. Enumerable.Range(0, callsPerRun / branches).Select(i => 1f - ((float)i / callsPerRun))];
        Comparer comparer = new();
        JsonElement.ArrayEnumerator steps = record.GetProperty("steps").EnumerateArray();
        for (int call = 0; call < calls; call++)
        {
            int inRun = call % callsPerRun;
            if (inRun == 0)
            {
                session.Begin(sigmas);
            }

            program.Script(scripted.AsSpan(call * blocks * each, blocks * each));
            session.Step(inputs.AsSpan(call * each, each), sigmas[inRun / branches], inRun % branches, velocity);
            comparer.Tensor("output", velocity, expected.AsSpan(call * each, each), OutputGate);
            steps.MoveNext();
            comparer.Row(session.Trace[^1], steps.Current, $"call {call}");
        }

        return comparer.Result(name);
    }
}
