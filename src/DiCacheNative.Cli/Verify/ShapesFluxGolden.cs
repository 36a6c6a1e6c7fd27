using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;
using DiCacheNative.Text;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>A whole FLUX pipeline against recorded values: token ids, text features, noise, velocity of every step, latents, image, cache decisions.</summary>
internal static class ShapesFluxGolden
{
    private const double FeatureGate = 1e-4;
    private const double NoiseGate = 1e-6;
    private const double VelocityGate = 2e-4;
    private const double LatentGate = 5e-4;
    private const double ImageGate = 2e-3;

    // Recorded with six decimals.
    private const double RecordedDeltaGate = 1e-5;
    private const double RecordedGammaGate = 1e-3;

    private static readonly string[] s_always =
        ["input_ids", "input_ids_2", "pooled", "hidden_states", "noise_packed", "noise_latent", "sigmas", "final_packed", "final_latent", "image"];

    // Of the other two prompts the decisions were recorded, and no latents.
    private static readonly string[] s_decisionsOnly =
        [.. new[] { 1, 2 }.SelectMany(prompt => new[] { 10, 20, 40 }.Select(threshold => $"dicache-{prompt}-{threshold}.safetensors"))];

    private static readonly Dictionary<string, string> s_notCompared = new()
    {
        ["file"] = "the tensors, compared one by one",
        ["prompt"] = "a setting",
        ["noise_seed"] = "a setting",
        ["threshold"] = "a setting",
        ["skipped_steps"] = "compared step by step",
        ["delta_from_step_1"] = "compared step by step",
        ["gamma_of_skipped"] = "compared step by step",
        ["psnr_to_uncached"] = "the reference's own distance between two recorded images",
    };

    public static IEnumerable<GoldenCase> Cases(string folder, string name, string model)
    {
        JsonElement golden = GoldenFolder.ReadJson(folder, "golden.json");
        yield return new GoldenCase($"{name}/tokenizers", backend => Tokenizers(backend, $"{name}/tokenizers", model, golden));
        JsonElement cached = GoldenFolder.ReadJson(folder, "dicache.json");
        JsonElement[] plain = [.. golden.GetProperty("cases").EnumerateArray()], skipping = [.. cached.GetProperty("cases").EnumerateArray()];
        static string File(JsonElement item) => item.GetProperty("file").GetString()!;
        yield return GoldenFolder.Files(folder, name, [.. plain.Select(File), .. skipping.Select(File).Except(s_decisionsOnly)]);
        foreach (JsonElement item in plain)
        {
            yield return new GoldenCase($"{name}/{File(item)}", backend => Plain(backend, folder, $"{name}/{File(item)}", model, item));
        }

        foreach (JsonElement item in skipping)
        {
            yield return new GoldenCase($"{name}/{File(item)}", backend => Cached(backend, folder, $"{name}/{File(item)}", model, cached, item));
        }
    }

    private static VerifyResult Tokenizers(IBackend backend, string name, string model, JsonElement golden)
    {
        using FluxPipeline pipeline = FluxPipeline.Load(backend, model, new EngineOptions());
        Comparer comparer = new();
        foreach (JsonElement item in golden.GetProperty("tokenizer_cases").EnumerateArray().Concat(golden.GetProperty("cases").EnumerateArray()))
        {
            string text = item.TryGetProperty("text", out JsonElement t) ? t.GetString()! : item.GetProperty("prompt").GetString()!;
            CompareIds(comparer, pipeline, text, item);
        }

        return comparer.Result(name);
    }

    private static void CompareIds(Comparer comparer, FluxPipeline pipeline, string text, JsonElement item)
    {
        (TokenizedText pooled, TokenizedText states) = pipeline.Tokenize(text);
        static int[] Ids(JsonElement list) => [.. list.EnumerateArray().Select(i => i.GetInt32())];
        comparer.Equal($"input_ids of \"{text}\"", pooled.Ids.SequenceEqual(Ids(item.GetProperty("input_ids"))));
        comparer.Equal($"input_ids_2 of \"{text}\"", states.Ids.SequenceEqual(Ids(item.GetProperty("input_ids_2"))));
    }

    private static VerifyResult Plain(IBackend backend, string folder, string name, string model, JsonElement item)
    {
        using FluxPipeline pipeline = FluxPipeline.Load(backend, model, new EngineOptions());
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, item.GetProperty("file").GetString()!));
        Comparer comparer = new();
        comparer.Expect(file.Tensors.Keys.Union(s_always), item.GetProperty("file").GetString()!);
        CompareIds(comparer, pipeline, item.GetProperty("prompt").GetString()!, item);
        (TokenizedText clip, TokenizedText t5) = pipeline.Tokenize(item.GetProperty("prompt").GetString()!);
        comparer.Tensor("input_ids", [.. clip.Ids.Select(i => (float)i)], file.Tensors["input_ids"], 0.5);
        comparer.Tensor("input_ids_2", [.. t5.Ids.Select(i => (float)i)], file.Tensors["input_ids_2"], 0.5);
        (float[] pooled, float[] states, _) = pipeline.EncodePrompt(item.GetProperty("prompt").GetString()!);
        comparer.Tensor("pooled", pooled, file.Tensors["pooled"], FeatureGate);
        comparer.Tensor("hidden_states", states, file.Tensors["hidden_states"], FeatureGate);

        double[]? velocity = Steps(file, "velocity"), latents = Steps(file, "latents_after_step");
        GenerationRequest request = Request(item, item.GetProperty("steps").GetInt32(), (float)item.GetProperty("shift").GetDouble()) with
        {
            OnStep = s =>
            {
                if (velocity is not null)
                {
                    comparer.Tensor("velocity", s.Velocity.Span, velocity.AsSpan(s.Step * s.Velocity.Length, s.Velocity.Length), VelocityGate);
                }

                if (latents is not null)
                {
                    comparer.Tensor("latents_after_step", s.Latents.Span, latents.AsSpan(s.Step * s.Latents.Length, s.Latents.Length), LatentGate);
                }
            },
        };
        int grid = request.Width / 16;
        float[] noise = pipeline.Noise(request, request.Seed!.Value, request.Height / 16, grid);
        comparer.Tensor("noise_packed", noise, file.Tensors["noise_packed"], NoiseGate);
        comparer.Tensor("noise_latent", Unpacked(noise, request), file.Tensors["noise_latent"], NoiseGate);
        comparer.Tensor("sigmas", [.. pipeline.CreateSampler(request.Steps!.Value, grid * grid, request.FlowShift).Sigmas], file.Tensors["sigmas"], NoiseGate);
        GenerationResult result = pipeline.Generate(request);
        comparer.Tensor("final_packed", result.Latents, file.Tensors["final_packed"], LatentGate);
        comparer.Tensor("final_latent", Unpacked(result.Latents, request), file.Tensors["final_latent"], LatentGate);
        comparer.Tensor("image", result.Planes.Values, file.Tensors["image"], ImageGate);
        return comparer.Result(name);
    }

    private static float[] Unpacked(float[] tokens, GenerationRequest request)
    {
        float[] planes = new float[tokens.Length];
        int height = request.Height / 16, width = request.Width / 16;
        LatentPacking.Unpack(tokens, planes, tokens.Length / (4 * height * width), height, width);
        return planes;
    }

    private static double[]? Steps(SafetensorsFile file, string name) => file.Tensors.TryGetValue(name, out HostTensor values) ? values.ToDoubles() : null;

    private static VerifyResult Cached(IBackend backend, string folder, string name, string model, JsonElement golden, JsonElement item)
    {
        using FluxPipeline pipeline = FluxPipeline.Load(backend, model, new EngineOptions());
        int steps = golden.GetProperty("steps").GetInt32();
        DiCacheOptions options = DiCacheOptions.Default with
        {
            Threshold = (float)item.GetProperty("threshold").GetDouble(),
            RetRatio = golden.GetProperty("ret_ratio").GetDouble(),
        };
        GenerationRequest request = Request(item, steps, (float)golden.GetProperty(
            "shift").GetDouble()) with
        { Cache = CacheOptions.DiCache(options), KeepTrace = true };
        GenerationResult result = pipeline.Generate(request);
        Comparer comparer = new();
        HashSet<int> skipped = [.. item.GetProperty("skipped_steps").EnumerateArray().Select(i => i.GetInt32())];
        double[] deltas = [.. item.GetProperty("delta_from_step_1").EnumerateArray().Select(d => d.GetDouble())];
        Queue<double> gammas = new(item.GetProperty("gamma_of_skipped").EnumerateArray().Select(d => d.GetDouble()));
        foreach (CacheTraceRow row in result.Trace)
        {
            if (row.Decision == StepDecision.Skip != skipped.Contains(row.Step))
            {
                comparer.Differs($"step {row.Step}: {row.Decision} instead of {(skipped.Contains(row.Step) ? "skip" : "a computed step")}");
                break;
            }

            // The recorded changes go on through the computed steps, which this engine does not measure.
            if (row.DeltaY is { } delta && row.Step <= deltas.Length)
            {
                comparer.Tensor("delta_y", [delta], [deltas[row.Step - 1]], RecordedDeltaGate);
            }
            else if (row.Decision == StepDecision.Skip)
            {
                comparer.Gap($"step {row.Step}: delta_y is {(row.DeltaY is null ? "not measured" : "not recorded")}");
            }

            if (row.Decision == StepDecision.Skip)
            {
                comparer.Tensor("gamma", [row.Gamma ?? float.NaN], gammas.TryDequeue(out double gamma) ? [gamma] : [], RecordedGammaGate);
            }
        }

        if (result.Trace.Count != steps || deltas.Length != steps - 1 || gammas.Count > 0)
        {
            string recorded = $"{deltas.Length} changes recorded and {gammas.Count} values of gamma too many";
            comparer.Gap($"{result.Trace.Count} calls of {steps} were traced, with {recorded}");
        }

        comparer.Expect(["delta_y", "gamma"], "dicache.json");
        comparer.Record(new Dictionary<string, object?>(), item, "the case", s_notCompared);
        string tensors = item.GetProperty("file").GetString()!;
        if (!s_decisionsOnly.Contains(tensors))
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, tensors));
            comparer.Expect(file.Tensors.Keys.Union(["final_packed"]), tensors);
            comparer.Tensor("final_packed", result.Latents, file.Tensors["final_packed"], LatentGate);
            if (file.Tensors.TryGetValue("image", out HostTensor image))
            {
                comparer.Tensor("image", result.Planes.Values, image, ImageGate);
            }
        }

        return comparer.Result(name);
    }

    private static GenerationRequest Request(JsonElement item, int steps, float shift) => new()
    {
        Prompt = item.GetProperty("prompt").GetString()!,
        Seed = item.GetProperty("noise_seed").GetUInt64(),
        Steps = steps,
        FlowShift = shift,
        Width = item.TryGetProperty("width", out JsonElement w) ? w.GetInt32() : 128,
        Height = item.TryGetProperty("height", out JsonElement h) ? h.GetInt32() : 128,
    };
}
