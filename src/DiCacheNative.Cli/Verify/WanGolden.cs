using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Wan;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>wan-tiny: single forwards with intermediate tensors, and guided sampling runs with every decision of both branches, in both checkpoint
/// layouts.</summary>
internal static class WanGolden
{
    private const double ForwardGate = 2e-5;
    private const double SampleGate = 5e-5;

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
        using WanModel model = WanModel.Load(backend, modelPath);
        float[] times = inputs.Tensors["timestep"].ToArray();
        int samples = times.Length;
        WanShape shape = new([.. Enumerable.Range(0, samples).Select(i => VideoGolden.Latent(inputs.Tensors[$"x.{i}"]))])
        {
            Tokens = info.GetProperty("seq_len").GetInt32(),
            TextTokens = outputs.Tensors.TryGetValue("text_embedding", out HostTensor text) ? text.Shape[1] : VideoGolden.TextTokens(folder),
            ImageTokens = ImageTokens(inputs),
        };
        using WanProgram program = model.CreateProgram(shape);
        float[] latents = new float[program.Input.Count];
        for (int i = 0; i < samples; i++)
        {
            float[] x = inputs.Tensors[$"x.{i}"].ToArray();
            x.CopyTo(latents.AsSpan(i * latents.Length / samples));
        }

        // A program has one time step for its batch, the case one for each sample: run it once for each and keep that sample.
        Observations observed = new(backend, samples);
        program.Observer = observed.Add;
        for (int sample = 0; sample < samples; sample++)
        {
            observed.Sample = sample;
            program.SetConditions(0, [.. Enumerable.Range(0, samples).Select(i => Conditions(inputs, "context", i, samples))]);
            VideoGolden.Forward(program, latents, times[sample]);
        }

        Comparer comparer = new();
        VideoGolden.ExpectForward(comparer, info, outputs);
        foreach ((string tensor, float[][] values) in observed.Values)
        {
            foreach ((string golden, double[] expected, Range part) in Expected(outputs, shape, tensor))
            {
                double gate = VideoGolden.Gate(info, golden, ForwardGate);
                comparer.Tensor(golden, part.Equals(Range.All) ? [.. values.SelectMany(v => v)] : values[part.Start.Value].AsSpan(0, expected.Length),
                    expected, gate);
            }
        }

        return comparer.Result(name);
    }

    // What a tensor of the program is called in the golden data, and which samples are in it. Some are kept sample by sample, the patches as
    // a convolution gives them, and each sample without its padding.
    private static IEnumerable<(string Name, double[] Values, Range Samples)> Expected(SafetensorsFile outputs, WanShape shape, string tensor)
    {
        if (tensor is "output" or "rope_cos" or "rope_sin" or "patch_embedding")
        {
            for (int i = 0; i < shape.Batch; i++)
            {
                string name = tensor != "patch_embedding" ? $"{tensor}.{i}" : i == 0 ? tensor : $"{tensor}#{i}";
                double[] values = outputs.Tensors[name].ToDoubles();
                yield return (name, tensor == "patch_embedding" ? VideoGolden.TokensFirst(values, outputs.Tensors[name].Shape[1]) : values, i..(i + 1));
            }
        }
        else if (outputs.Tensors.TryGetValue(tensor, out HostTensor whole))
        {
            yield return (tensor, whole.ToDoubles(), Range.All);
        }
    }

    // Tensors of a batch are numbered, those of a single sample may be.
    private static WanConditions Conditions(SafetensorsFile inputs, string context, int sample, int samples)
    {
        float[]? Find(string name) =>
            inputs.Tensors.TryGetValue($"{name}.{sample}", out HostTensor tensor) || (samples == 1 && inputs.Tensors.TryGetValue(name, out tensor))
                ? tensor.ToArray() : null;

        return new WanConditions
        {
            Text = Find(context) ?? throw new ModelFormatException(inputs.Path, $"there is no {context} for sample {sample}"),
            Image = inputs.Tensors.TryGetValue("clip_fea", out HostTensor clip) ? clip.Rows(sample, 1).ToArray() : null,
            Latents = Find("y"),
        };
    }

    private static int ImageTokens(SafetensorsFile inputs) => inputs.Tensors.TryGetValue("clip_fea", out HostTensor clip) ? clip.Shape[1] : 0;

    private static VerifyResult Sample(IBackend backend, string folder, string name, string modelPath)
    {
        JsonElement records = GoldenFolder.ReadJson(folder, "records.json"), info = records.GetProperty("case");
        using SafetensorsFile inputs = SafetensorsFile.Open(Path.Combine(folder, "inputs.safetensors"));
        using SafetensorsFile run = SafetensorsFile.Open(Path.Combine(folder, "run.safetensors"));
        using WanModel model = WanModel.Load(backend, modelPath);
        int steps = info.GetProperty("sample_steps").GetInt32();
        double shift = info.GetProperty("shift").GetDouble();
        string solver = info.GetProperty("solver").GetString()!;
        ISampler sampler = solver switch
        {
            "unipc" => new UniPcFlow(steps, shift),
            "dpm++" => new DpmPlusPlusFlow(steps, shift),
            _ => throw new ModelFormatException(folder, $"the solver {solver} is unknown; known are unipc and dpm++"),
        };
        WanShape shape = new(VideoGolden.Latent(inputs.Tensors["noise"]))
        {
            Tokens = records.GetProperty("seq_len").GetInt32(),
            TextTokens = VideoGolden.TextTokens(folder),
            ImageTokens = ImageTokens(inputs),
            Slots = 2,
            MaxSteps = steps,
        };
        using WanProgram program = model.CreateProgram(shape);
        program.SetConditions(0, Conditions(inputs, "context", 0, 1));
        program.SetConditions(1, Conditions(inputs, "context_null", 0, 1));
        bool caches = info.GetProperty("enable_dicache").GetBoolean();
        RecordedCalls calls = new(caches ? new DiCachePolicy(ControllerGolden.Options("wan", info)) : NoCachePolicy.Instance, program.ProbeBlocks);
        using DiTSession session = new(program, calls.Policy, new SessionOptions { Branches = 2, KeepTrace = true, MeasureInput = caches });

        Comparer comparer = new();
        VideoGolden.ExpectRun(comparer, run);
        VideoGolden.CompareTables(comparer, sampler, run);
        session.Begin([.. sampler.Sigmas.Take(steps)], [.. sampler.Timesteps]);
        float[] latents = inputs.Tensors["noise"].ToArray();
        float[][] velocity = [new float[latents.Length], new float[latents.Length]];
        float[] guided = new float[latents.Length];
        float scale = (float)info.GetProperty("guide_scale").GetDouble();
        string[] branches = ["cond", "uncond"];
        VideoGolden.CompareStep(comparer, "latents", latents, run, 0, SampleGate);
        for (int i = 0; i < steps; i++)
        {
            for (int branch = 0; branch < 2; branch++)
            {
                session.Step(latents, sampler.Sigmas[i], branch, velocity[branch]);
                VideoGolden.CompareStep(comparer, "noise_pred_" + branches[branch], velocity[branch], run, i, SampleGate);
                calls.Add(session);
            }

            for (int e = 0; e < guided.Length; e++)
            {
                guided[e] = velocity[1][e] + (scale * (velocity[0][e] - velocity[1][e]));
            }

            VideoGolden.CompareStep(comparer, "noise_pred", guided, run, i, SampleGate);
            sampler.Step(i, latents, guided);
            VideoGolden.CompareStep(comparer, "latents", latents, run, i + 1, SampleGate);
        }

        foreach ((int call, JsonElement record) in records.GetProperty("steps").EnumerateArray().Take(2 * steps).Index())
        {
            Dictionary<string, object?> facts = calls.Facts(call);
            facts["step"] = call / 2;
            facts["branch"] = branches[call % 2];
            facts["sigma"] = sampler.Sigmas[call / 2];
            facts["timestep"] = sampler.Timesteps[call / 2];
            comparer.Record(facts, record, $"step {call / 2}, {branches[call % 2]}");
        }

        int probed = caches ? info.GetProperty("probe_depth").GetInt32() : 0;
        calls.CompareRun(comparer, records, new Dictionary<string, object?>
        {
            ["decisions_cond"] = calls.Letters(0),
            ["decisions_uncond"] = calls.Letters(1),
            ["blocks_total"] = Enumerable.Range(0, 2 * steps).Sum(i => calls.Blocks(i, model.Config.Layers, probed)),
        });
        return comparer.Result(name);
    }
}
