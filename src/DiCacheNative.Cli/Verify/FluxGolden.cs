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
        Tensor x0 = arena.Allocate(program.FeatureType, program.Batch, program.Tokens, program.Width), p = arena.Allocate(program.FeatureType, program.Batch, program.Tokens, program.Width);

        // A program has one time step for its batch, the case one for each sample: run it once for each and keep that sample.
        float[] times = inputs.Tensors["timestep"].ToArray(), latents = inputs.Tensors["hidden_states"].ToArray();
        Dictionary<string, float[]> observed = [];
        for (int sample = 0; sample < times.Length; sample++)
        {
            program.Observer = (tensor, value) =>
            {
                if (outputs.Tensors.ContainsKey(tensor))
                {
                    Keep(observed, tensor, Read(backend, value), sample, times.Length);
                }
            };
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
        foreach ((string tensor, float[] values) in observed)
        {
            double floor = info.TryGetProperty("noise_floor_f32_vs_f64", out JsonElement floors) && floors.TryGetProperty(tensor, out JsonElement f)
                ? Comparer.Number(f, "max_abs") ?? 0 : 0;
            comparer.Tensor(tensor, values, outputs.Tensors[tensor], Math.Max(ForwardGate, 4 * floor));
        }

        return comparer.Result(name);
    }

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
        ICachePolicy policy = caches ? new DiCachePolicy(ControllerGolden.Options("flux", info)) : NoCachePolicy.Instance;
        using DiTSession session = new(program, policy, new SessionOptions { Samples = program.Batch, KeepTrace = true, MeasureInput = caches });

        string scheduler = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(folder)))!, "scheduler", "scheduler_config.json");
        FlowMatchEuler sampler = FlowMatchEuler.Create(SchedulerConfig.Read(scheduler), steps, program.Tokens);
        Comparer comparer = new();
        comparer.Tensor("sigmas", [.. sampler.Sigmas], run.Tensors["sigmas"], 1e-6);
        session.Begin([.. sampler.Sigmas.Take(steps)]);
        float[] latents = inputs.Tensors["hidden_states"].ToArray(), velocity = new float[latents.Length];
        double[] velocities = run.Tensors["noise_pred"].ToDoubles(), trajectory = run.Tensors["latents"].ToDoubles();
        JsonElement.ArrayEnumerator rows = records.GetProperty("steps").EnumerateArray();
        for (int i = 0; i < steps; i++)
        {
            session.Step(latents, sampler.Sigmas[i], 0, velocity);
            comparer.Tensor("noise_pred", velocity, velocities.AsSpan(i * latents.Length, latents.Length), ForwardGate);
            sampler.Step(i, latents, velocity);
            comparer.Tensor("latents", latents, trajectory.AsSpan((i + 1) * latents.Length, latents.Length), SampleGate);
            rows.MoveNext();
            comparer.Row(session.Trace[^1], rows.Current, $"step {i}");
        }

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
