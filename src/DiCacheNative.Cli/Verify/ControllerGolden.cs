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

    private static readonly Dictionary<string, string> s_settings = new()
    {
        ["variant"] = "the script, by whose rules the case is run",
        ["config"] = "its settings",
        ["steps"] = "compared call by call",
    };

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        JsonElement records = GoldenFolder.ReadJson(folder, "records.json");
        yield return GoldenFolder.Inventory(folder, name, "scripts.safetensors", [.. records.EnumerateArray().Select(r => r.GetProperty("name").GetString()!)],
            ["x", "block_add", "output"]);
        foreach (JsonElement record in records.EnumerateArray())
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
        RecordedCalls recorded = new(new DiCachePolicy(Options(variant, config)), program.ProbeBlocks);
        using DiTSession session = new(program, recorded.Policy, new SessionOptions { Branches = branches, KeepTrace = true, MeasureInput = true });
        float[] sigmas = [.. Enumerable.Range(0, callsPerRun / branches).Select(i => 1f - ((float)i / callsPerRun))];
        Comparer comparer = new();
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
            recorded.Add(session);
        }

        int depth = config.GetProperty("probe_depth").GetInt32();
        foreach ((int call, JsonElement step) in record.GetProperty("steps").EnumerateArray().Take(calls).Index())
        {
            int inRun = call % callsPerRun;
            bool last = inRun == callsPerRun - 1;
            Dictionary<string, object?> facts = recorded.Facts(call);
            recorded.AddState(facts, call);
            facts["call"] = call;
            facts["cnt"] = inRun;
            facts["cnt_after"] = last ? 0 : inRun + 1;
            facts["slot"] = branches == 2 ? inRun % 2 : null;
            facts["state_reset_after_call"] = last;
            facts["blocks_executed"] = Enumerable.Range(0, recorded.Blocks(call, blocks, depth)).ToArray();
            if (variant != "flux")
            {
                // Two of the last three residuals are used; these scripts drop older ones.
                facts["residual_window_len_before"] = Math.Min(3, (int)facts["residual_window_len_before"]!);
            }

            if (last && branches == 2)
            {
                // WAN's script forgets the state of the branch within the call.
                facts.Remove("probe_state_refreshed");
            }

            comparer.Record(facts, step, $"call {call}");
        }

        comparer.Record(
            new Dictionary<string, object?>
            {
                ["name"] = id,
                ["calls"] = calls,
                ["blocks"] = blocks,
                ["decisions"] = recorded.Letters(null),
            },
            record, "the case", s_settings);

        return comparer.Result(name);
    }
}
