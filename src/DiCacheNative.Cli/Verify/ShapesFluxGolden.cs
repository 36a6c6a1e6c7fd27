using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
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

    public static IEnumerable<GoldenCase> Cases(string folder, string name, string model)
    {
        JsonElement golden = GoldenFolder.ReadJson(folder, "golden.json");
        yield return new GoldenCase($"{name}/tokenizers", backend => Tokenizers(backend, $"{name}/tokenizers", model, golden));
        foreach (JsonElement item in golden.GetProperty("cases").EnumerateArray())
        {
            string file = item.GetProperty("file").GetString()!;
            if (File.Exists(Path.Combine(folder, file)))
            {
                yield return new GoldenCase($"{name}/{file}", backend => Plain(backend, folder, $"{name}/{file}", model, item));
            }
        }

        if (!File.Exists(Path.Combine(folder, "dicache.json")))
        {
            yield break;
        }

        JsonElement cached = GoldenFolder.ReadJson(folder, "dicache.json");
        foreach (JsonElement item in cached.GetProperty("cases").EnumerateArray())
        {
            string file = item.GetProperty("file").GetString()!;
            if (File.Exists(Path.Combine(folder, file)))
            {
                yield return new GoldenCase($"{name}/{file}", backend => Cached(backend, folder, $"{name}/{file}", model, cached, item));
            }
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
        CompareIds(comparer, pipeline, item.GetProperty("prompt").GetString()!, item);
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
        comparer.Tensor("noise_packed", pipeline.Noise(request, request.Seed!.Value, request.Height / 16, grid), file.Tensors["noise_packed"], NoiseGate);
        comparer.Tensor("sigmas", [.. pipeline.CreateSampler(request.Steps!.Value, grid * grid, request.FlowShift).Sigmas], file.Tensors["sigmas"], NoiseGate);
        GenerationResult result = pipeline.Generate(request);
        comparer.Tensor("final_packed", result.Latents, file.Tensors["final_packed"], LatentGate);
        comparer.Tensor("image", result.Planes.Values, file.Tensors["image"], ImageGate);
        return comparer.Result(name);
    }

    private static double[]? Steps(SafetensorsFile file, string name) => file.Tensors.TryGetValue(name, out HostTensor values) ? values.ToDoubles() : null;

    private static VerifyResult Cached(IBackend backend, string folder, string name, string model, JsonElement golden, JsonElement item)
    {
        using FluxPipeline pipeline = FluxPipeline.Load(backend, model, new EngineOptions());
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, item.GetProperty("file").GetString()!));
        int steps = golden.GetProperty("steps").GetInt32();
        DiCacheOptions options = DiCacheOptions.Default with
        {
            Threshold = (float)item.GetProperty("threshold").GetDouble(),
            RetRatio = golden.GetProperty("ret_ratio").GetDouble(),
        };
        GenerationRequest request = Request(item, steps, (float)golden.GetProperty("shift").GetDouble()) with { Cache = CacheOptions.DiCache(options), KeepTrace = true };
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

            if (row.DeltaY is { } delta)
            {
                comparer.Tensor("delta_y", [delta], [deltas[row.Step - 1]], RecordedDeltaGate);
            }

            if (row.Decision == StepDecision.Skip && gammas.TryDequeue(out double gamma))
            {
                comparer.Tensor("gamma", [row.Gamma ?? float.NaN], [gamma], RecordedGammaGate);
            }
        }

        comparer.Tensor("final_packed", result.Latents, file.Tensors["final_packed"], LatentGate);
        if (file.Tensors.TryGetValue("image", out HostTensor image))
        {
            comparer.Tensor("image", result.Planes.Values, image, ImageGate);
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
