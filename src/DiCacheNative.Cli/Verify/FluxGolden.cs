using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>flux-tiny: single forwards with intermediate tensors, and sampling runs with every decision, in both checkpoint layouts.</summary>
internal static class FluxGolden
{
    // Gates for a binary32 engine; sinusoids in double precision instead of binary32 account for most of them.
    private const double ForwardGate = 2e-4;
    private const double SampleGate = 5e-4;

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        string parent = Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(folder)))!;
        string transformer = Path.Combine(parent, "transformer");
        List<(string Layout, string Path)> layouts = [];
        if (File.Exists(Path.Combine(transformer, "diffusion_pytorch_model.safetensors")))
        {
            layouts.Add(("diffusers", transformer));
        }

        layouts.AddRange(Directory.EnumerateFiles(parent, "flux1-*.safetensors").Order(StringComparer.Ordinal).Select(f => ("original", f)));
        bool forward = File.Exists(Path.Combine(folder, "case.json"));
        foreach ((string layout, string path) in layouts)
        {
            string id = $"{name} [{layout}]";
            yield return new GoldenCase(id, backend => forward ? Forward(backend, folder, id, path) : Sample(backend, folder, id, path));
        }
    }

    private static VerifyResult Forward(IBackend backend, string folder, string name, string modelPath)
    {
        JsonElement info = GoldenFolder.ReadJson(folder, "case.json");
        using SafetensorsFile outputs = SafetensorsFile.Open(Path.Combine(folder, "outputs.safetensors"));
        using FluxModel model = FluxModel.Load(backend, modelPath);
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using FluxProgram program = model.CreateProgram(Shape(inputs, 1));
        using Arena arena = backend.CreateArena(2L * ((program.Batch * (long)program.Tokens * program.Width * 4) + Arena.Alignment), "a golden case");
        Tensor x0 = arena.Allocate(program.FeatureType, program.Batch, program.Tokens, program.Width),
            p = arena.Allocate(program.FeatureType, program.Batch, program.Tokens, program.Width);

        // A program has one time step for its batch, the case one for each sample: run it once for each and keep that sample.
        float[] times = inputs.Tensors["timestep"].ToArray(), latents = inputs.Tensors["hidden_states"].ToArray();
        Dictionary<string, float[]> observed = [];
        for (int sample = 0; sample < times.Length; sample++)
        {
            program.Observer = (tensor, value) => Keep(observed, tensor, Read(backend, value), sample, times.Length);
            Condition(program, inputs, inputs.Tensors.TryGetValue("guidance", out HostTensor guidance) ? guidance.ToArray() : []);
            program.SetTimesteps([times[sample] * 1000]);
            backend.Upload(latents, program.Input);
            program.Select(0, 0);
            program.Embed(x0);
            program.Probe(1, x0, p, default);
            program.Body(1, x0, p, default);
            program.Head();
        }

        Comparer comparer = new();
        VideoGolden.ExpectForward(comparer, info, outputs);
        foreach ((string tensor, HostTensor golden) in outputs.Tensors)
        {
            (string seen, double[] expected) = Expected(outputs, tensor, golden);
            if (observed.TryGetValue(seen, out float[]? values))
            {
                float[] actual = seen.StartsWith("rotary_", StringComparison.Ordinal) ? VideoGolden.InPairs(values) : values;
                comparer.Tensor(tensor, actual, expected, VideoGolden.Gate(info, tensor, ForwardGate));
            }
        }

        return comparer.Result(name);
    }

    // What the engine has of a recorded tensor, and the values that it must have there. It keeps no queries and keys between norm and rotation,
    // and nothing between a product and its activation: those are taken one step further.
    private static (string Observed, double[] Values) Expected(SafetensorsFile outputs, string tensor, in HostTensor golden)
    {
        double[] values = golden.ToDoubles();
        switch (tensor)
        {
            case "double.0.attn.norm_q" or "double.0.attn.norm_k" or "double.0.attn.norm_added_q":
                int text = tensor.EndsWith("added_q", StringComparison.Ordinal) ? 0 : outputs.Tensors["rotary_cos"].Shape[0] - golden.Shape[2];
                double[] cos = outputs.Tensors["rotary_cos"].ToDoubles(), sin = outputs.Tensors["rotary_sin"].ToDoubles();
                return (tensor.Replace("norm_", "rotated_", StringComparison.Ordinal), Rotated(values, golden.Shape, cos, sin, text));
            case "single.0.proj_mlp":
                return ("single.0.mlp", [.. values.Select(Gelu)]);
            default:
                return (tensor, values);
        }
    }

    // [B, H, L, Dh] as [B, L, H Dh], each pair (a, b) turned: (a cos - b sin, b cos + a sin).
    private static double[] Rotated(double[] values, ReadOnlySpan<int> shape, double[] cos, double[] sin, int firstRow)
    {
        (int heads, int length, int width) = (shape[1], shape[2], shape[3]);
        double[] result = new double[values.Length];
        for (int i = 0; i < values.Length; i += 2)
        {
            int pair = i % width, row = i / width % length, head = i / (width * length) % heads, sample = i / (width * length * heads);
            int to = (((((sample * length) + row) * heads) + head) * width) + pair, at = ((firstRow + row) * width) + pair;
            result[to] = (values[i] * cos[at]) - (values[i + 1] * sin[at]);
            result[to + 1] = (values[i + 1] * cos[at]) + (values[i] * sin[at]);
        }

        return result;
    }

    private static double Gelu(double v) => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + (0.044715 * v * v * v))));

    private static void Keep(Dictionary<string, float[]> observed, string tensor, float[] values, int sample, int samples)
    {
        if (!observed.TryGetValue(tensor, out float[]? kept))
        {
            observed.Add(tensor, kept = new float[values.Length]);
        }

        int each = values.Length / samples;
        values.AsSpan(sample * each, each).CopyTo(kept.AsSpan(sample * each));
    }

    private static VerifyResult Sample(IBackend backend, string folder, string name, string modelPath)
    {
        JsonElement records = GoldenFolder.ReadJson(folder, "records.json"), info = records.GetProperty("case");
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using SafetensorsFile run = SafetensorsFile.Open(Path.Combine(folder, "run.safetensors"));
        using FluxModel model = FluxModel.Load(backend, modelPath);
        int steps = info.GetProperty("num_steps").GetInt32();
        using FluxProgram program = model.CreateProgram(Shape(inputs, steps));
        float guidance = (float)(Comparer.Number(info, "guidance_scale") ?? 0);
        Condition(program, inputs, [.. Enumerable.Repeat(guidance, program.Batch)]);
        bool caches = info.GetProperty("enable_dicache").GetBoolean();
        RecordedCalls calls = new(caches ? new DiCachePolicy(ControllerGolden.Options("flux", info)) : NoCachePolicy.Instance, program.ProbeBlocks);
        using DiTSession session = new(program, calls.Policy, new SessionOptions { Samples = program.Batch, KeepTrace = true, MeasureInput = caches });

        string scheduler = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(folder)))!, "scheduler",
            "scheduler_config.json");
        FlowMatchEuler sampler = FlowMatchEuler.Create(SchedulerConfig.Read(scheduler), steps, program.Tokens);
        Comparer comparer = new();
        VideoGolden.ExpectRun(comparer, run);
        VideoGolden.CompareTables(comparer, sampler, run);
        session.Begin([.. sampler.Sigmas.Take(steps)]);
        float[] latents = inputs.Tensors["hidden_states"].ToArray(), velocity = new float[latents.Length];
        VideoGolden.CompareStep(comparer, "latents", latents, run, 0, SampleGate);
        for (int i = 0; i < steps; i++)
        {
            session.Step(latents, sampler.Sigmas[i], 0, velocity);
            VideoGolden.CompareStep(comparer, "noise_pred", velocity, run, i, ForwardGate);
            sampler.Step(i, latents, velocity);
            VideoGolden.CompareStep(comparer, "latents", latents, run, i + 1, SampleGate);
            calls.Add(session);
        }

        int probed = caches ? info.GetProperty("probe_depth").GetInt32() : 0, doubles = model.Config.DoubleBlocks, singles = model.Config.SingleBlocks;
        float threshold = caches ? (float)info.GetProperty("rel_l1_thresh").GetDouble() : 0;
        foreach ((int call, JsonElement record) in records.GetProperty("steps").EnumerateArray().Take(steps).Index())
        {
            Dictionary<string, object?> facts = calls.Facts(call);
            facts["step"] = call;
            facts["sigma"] = sampler.Sigmas[call];
            facts["sigma_next"] = sampler.Sigmas[call + 1];
            facts["timestep"] = sampler.Timesteps[call];
            facts["double_blocks_run"] = calls.Blocks(call, doubles, probed);
            facts["single_blocks_run"] = calls.Blocks(call, singles, 0);
            if (caches)
            {
                // The script counts calls, and begins anew after the last one.
                bool last = call == steps - 1;
                calls.AddState(facts, call);
                facts["cnt"] = call;
                facts["cnt_after"] = last ? 0 : call + 1;
                facts["threshold"] = threshold;
                facts["residual_window_len_after"] = last ? 0 : (int)facts["residual_window_len_before"]!
                    + (session.Trace[call].Decision == StepDecision.Skip ? 0 : 1);
                if (session.Trace[call].Accumulated is { } accumulated)
                {
                    facts["margin_to_threshold"] = new Difference(accumulated - threshold, threshold);
                }
            }

            comparer.Record(facts, record, $"step {call}");
        }

        calls.CompareRun(comparer, records, new Dictionary<string, object?>
        {
            ["decisions"] = calls.Letters(0),
            ["double_blocks_total"] = Enumerable.Range(0, steps).Sum(i => calls.Blocks(i, doubles, probed)),
            ["single_blocks_total"] = Enumerable.Range(0, steps).Sum(i => calls.Blocks(i, singles, 0)),
        });
        return comparer.Result(name);
    }

    private static FluxShape Shape(SafetensorsFile inputs, int steps)
    {
        HostTensor ids = inputs.Tensors["img_ids"], text = inputs.Tensors["encoder_hidden_states"];
        float[] positions = ids.ToArray();
        int height = 0, width = 0;
        for (int i = 0; i < positions.Length; i += 3)
        {
            (height, width) = (Math.Max(height, (int)positions[i + 1] + 1), Math.Max(width, (int)positions[i + 2] + 1));
        }

        return new FluxShape(text.Shape[0], height, width, text.Shape[1], MaxSteps: steps);
    }

    private static void Condition(FluxProgram program, SafetensorsFile inputs, float[] guidance) =>
        program.SetConditions(0, inputs.Tensors["encoder_hidden_states"].ToArray(), inputs.Tensors["pooled_projections"].ToArray(), guidance);

    private static float[] Read(IBackend backend, in Tensor value)
    {
        float[] result = new float[value.Count];
        backend.Download(value, result);
        return result;
    }
}
