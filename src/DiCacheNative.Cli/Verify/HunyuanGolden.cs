using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>hunyuan-tiny: single forwards with intermediate tensors, and sampling runs with every decision, in both checkpoint layouts.</summary>
internal static class HunyuanGolden
{
    // Gates for a binary32 engine; sinusoids in double precision instead of binary32 account for most of them.
    private const double ForwardGate = 2e-4;
    private const double SampleGate = 5e-4;
    private const float GuidanceScale = 1000;

    public static IEnumerable<GoldenCase> Cases(string folder, string name)
    {
        bool forward = File.Exists(Path.Combine(folder, "case.json"));
        foreach ((string layout, string model) in VideoGolden.Layouts(folder))
        {
            string id = $"{name} [{layout}]";
            yield return new GoldenCase(id, backend => forward ? Forward(backend, folder, id, model) : Sample(backend, folder, id, model));
        }
    }

    private static VerifyResult Forward(IBackend backend, string folder, string name, string modelPath)
    {
        JsonElement info = GoldenFolder.ReadJson(folder, "case.json");
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using SafetensorsFile outputs = SafetensorsFile.Open(Path.Combine(folder, "outputs.safetensors"));
        using HunyuanModel model = HunyuanModel.Load(backend, modelPath);
        float[] times = inputs.Tensors["timestep"].ToArray();
        int samples = times.Length;
        float[] guidance = inputs.Tensors.TryGetValue("guidance", out HostTensor scale) ? scale.ToArray() : new float[samples];
        int text = inputs.Tensors["text_states"].Shape[1];
        HunyuanShape shape = new(VideoGolden.Latent(inputs.Tensors["x"]), text, samples);
        using HunyuanProgram program = model.CreateProgram(shape);

        // A program has one time step for its batch, the case one for each sample: run it once for each and keep that sample.
        Observations observed = new(backend, samples);
        program.Observer = observed.Add;
        HunyuanConditions[] conditions = [.. Enumerable.Range(0, samples).Select(i => Conditions(inputs, i, guidance[i] / GuidanceScale))];
        for (int sample = 0; sample < samples; sample++)
        {
            observed.Sample = sample;
            program.SetConditions(0, conditions);
            VideoGolden.Forward(program, inputs.Tensors["x"].ToArray(), times[sample]);
        }

        Comparer comparer = new();
        VideoGolden.ExpectForward(comparer, info, outputs);
        foreach ((string tensor, float[][] values) in observed.Values)
        {
            if (!outputs.Tensors.TryGetValue(tensor, out HostTensor golden))
            {
                continue;
            }

            double[] expected = golden.ToDoubles();
            for (int i = 0; i < samples; i++)
            {
                (float[] actual, double[] reference) = Part(tensor, values[i], expected, i, conditions[i].ValidTokens!.Value, shape);
                comparer.Tensor(tensor, actual, reference, VideoGolden.Gate(info, tensor, ForwardGate));
            }
        }

        return comparer.Result(name);
    }

    // The comparable part of a sample: padded text rows depend on how padding attends to itself; rotary tables come as pairs of equal values.
    private static (float[] Actual, double[] Expected) Part(string tensor, float[] values, double[] expected, int sample, int valid, HunyuanShape shape)
    {
        if (tensor.StartsWith("freqs_", StringComparison.Ordinal))
        {
            return (VideoGolden.InPairs(values), expected);
        }

        // Vectors were computed for the whole batch, in one row each.
        int each = expected.Length / shape.Batch, from = values.Length == each ? 0 : sample * each;
        bool text = tensor.StartsWith("txt_in.refiner", StringComparison.Ordinal) || tensor == "txt_in"
            || (tensor.StartsWith("double.", StringComparison.Ordinal) && tensor.Contains("txt", StringComparison.Ordinal));
        bool joint = tensor.StartsWith("single.", StringComparison.Ordinal);
        int length = text ? each / shape.TextTokens * valid : joint ? each / shape.Tokens * (shape.ImageTokens + valid) : each;
        return (values[from..(from + length)], expected[(sample * each)..((sample * each) + length)]);
    }

    private static HunyuanConditions Conditions(SafetensorsFile inputs, int sample, float guidance)
    {
        HostTensor text = inputs.Tensors["text_states"], pooled = inputs.Tensors["text_states_2"], mask = inputs.Tensors["text_mask"];
        float[] valid = mask.Rows(sample, 1).ToArray();
        int count = (int)valid.Sum();
        if (valid.AsSpan(0, count).Contains(0))
        {
            throw new ModelFormatException($"text_mask of sample {sample} has padding before text; it must follow it");
        }

        return new HunyuanConditions
        {
            Text = text.Rows(sample, 1).ToArray(),
            ValidTokens = count,
            Pooled = pooled.Rows(sample, 1).ToArray(),
            Guidance = guidance,
        };
    }

    private static VerifyResult Sample(IBackend backend, string folder, string name, string modelPath)
    {
        JsonElement records = GoldenFolder.ReadJson(folder, "records.json"), info = records.GetProperty("case");
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using SafetensorsFile run = SafetensorsFile.Open(Path.Combine(folder, "run.safetensors"));
        using HunyuanModel model = HunyuanModel.Load(backend, modelPath);
        int steps = info.GetProperty("infer_steps").GetInt32();
        float guidance = (float)(Comparer.Number(info, "embedded_guidance_scale") ?? 0);
        FlowMatchDiscrete sampler = new(steps, info.GetProperty("flow_shift").GetDouble());
        HostTensor noise = inputs.Tensors["noise"];
        using HunyuanProgram program = model.CreateProgram(new HunyuanShape(VideoGolden.Latent(noise), inputs.Tensors["text_states"].Shape[1], noise.Shape[0],
            MaxSteps: steps));
        program.SetConditions(0, [.. Enumerable.Range(0, program.Batch).Select(i => Conditions(inputs, i, guidance))]);
        bool caches = info.GetProperty("enable_dicache").GetBoolean();
        RecordedCalls calls = new(caches ? new DiCachePolicy(ControllerGolden.Options("hunyuan", info)) : NoCachePolicy.Instance, program.ProbeBlocks);
        using DiTSession session = new(program, calls.Policy, new SessionOptions { Samples = program.Batch, KeepTrace = true, MeasureInput = caches });

        Comparer comparer = new();
        VideoGolden.ExpectRun(comparer, run);
        VideoGolden.CompareTables(comparer, sampler, run);
        session.Begin([.. sampler.Sigmas.Take(steps)], [.. sampler.Timesteps]);
        float[] latents = noise.ToArray(), velocity = new float[latents.Length];
        VideoGolden.CompareStep(comparer, "latents", latents, run, 0, SampleGate);
        for (int i = 0; i < steps; i++)
        {
            session.Step(latents, sampler.Sigmas[i], 0, velocity);
            VideoGolden.CompareStep(comparer, "noise_pred", velocity, run, i, SampleGate);
            sampler.Step(i, latents, velocity);
            VideoGolden.CompareStep(comparer, "latents", latents, run, i + 1, SampleGate);
            calls.Add(session);
        }

        foreach ((int call, JsonElement record) in records.GetProperty("steps").EnumerateArray().Take(steps).Index())
        {
            Dictionary<string, object?> facts = calls.Facts(call);
            facts["step"] = call;
            facts["sigma"] = sampler.Sigmas[call];
            facts["timestep"] = sampler.Timesteps[call];
            comparer.Record(facts, record, $"step {call}");
        }

        int probed = caches ? info.GetProperty("probe_depth").GetInt32() : 0;
        calls.CompareRun(comparer, records, new Dictionary<string, object?>
        {
            ["decisions"] = calls.Letters(0),
            ["double_blocks_total"] = Enumerable.Range(0, steps).Sum(i => calls.Blocks(i, model.Config.DoubleBlocks, probed)),
            ["single_blocks_total"] = Enumerable.Range(0, steps).Sum(i => calls.Blocks(i, model.Config.SingleBlocks, 0)),
        });
        return comparer.Result(name);
    }
}
