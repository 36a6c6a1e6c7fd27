using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>A whole WAN pipeline against recorded values: token ids, text features, noise, noise levels, guided velocities, latents, frames.</summary>
internal static class ShapesWanGolden
{
    private const double FeatureGate = 2e-5;
    private const double NoiseGate = 1e-6;

    // Whole numbers for UniPC, 1000 times a level for Euler.
    private const double TimestepGate = 1e-3;

    // Guidance of 4 multiplies the error of a single call by up to 7.
    private const double VelocityGate = 2e-4;
    private const double LatentGate = 1e-4;
    private const double FrameGate = 1e-4;

    private static readonly string[] s_always =
        ["context", "context_null", "noise", "sigmas", "timesteps", "velocity_cond", "velocity_uncond", "latents_half_way", "latents"];

    public static IEnumerable<GoldenCase> Cases(string folder, string name, string model)
    {
        JsonElement golden = GoldenFolder.ReadJson(folder, "golden.json");
        yield return new GoldenCase($"{name}/tokenizer", backend => Tokenizer(backend, $"{name}/tokenizer", model, golden));
        yield return GoldenFolder.Files(folder, name, golden.GetProperty("cases").EnumerateArray().Select(c => c.GetProperty("file").GetString()!));
        foreach (JsonElement item in golden.GetProperty("cases").EnumerateArray())
        {
            string id = $"{name}/{item.GetProperty("file").GetString()}";
            yield return new GoldenCase(id, backend => Generation(backend, folder, id, model, item));
        }
    }

    private static VerifyResult Tokenizer(IBackend backend, string name, string model, JsonElement golden)
    {
        using WanPipeline pipeline = WanPipeline.Load(backend, model, new EngineOptions());
        Comparer comparer = new();
        foreach (JsonElement item in golden.GetProperty("tokenizer_cases").EnumerateArray())
        {
            CompareIds(comparer, pipeline, item.GetProperty("text").GetString()!, item);
        }

        return comparer.Result(name);
    }

    private static void CompareIds(Comparer comparer, WanPipeline pipeline, string text, JsonElement item) =>
        comparer.Equal($"input_ids of \"{text}\"", pipeline.Tokenize(text).Ids.SequenceEqual(Integers(item, "input_ids")!));

    private static VerifyResult Generation(IBackend backend, string folder, string name, string model, JsonElement item)
    {
        using WanPipeline pipeline = WanPipeline.Load(backend, model, new EngineOptions());
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, item.GetProperty("file").GetString()!));
        Comparer comparer = new();
        GenerationRequest request = Request(item);
        comparer.Expect(file.Tensors.Keys.Union(s_always), item.GetProperty("file").GetString()!);
        comparer.Covers("velocity_cond", by: "velocity");
        comparer.Covers("velocity_uncond", by: "velocity");
        CompareIds(comparer, pipeline, request.Prompt, item);
        Features(comparer, pipeline, "context", request.Prompt, file);
        Features(comparer, pipeline, "context_null", request.NegativePrompt!, file);

        int steps = request.Steps!.Value;
        ISampler sampler = pipeline.CreateSampler(request.SamplingMethod, steps, request.FlowShift);
        comparer.Tensor("sigmas", [.. sampler.Sigmas], file.Tensors["sigmas"], NoiseGate);
        comparer.Tensor("timesteps", [.. sampler.Timesteps], file.Tensors["timesteps"], TimestepGate);
        LatentSize size = LatentSize.OfVideo(request.VideoFrames, request.Height, request.Width);
        comparer.Tensor("noise", pipeline.Noise(request.Rng, request.Seed!.Value, size), file.Tensors["noise"], NoiseGate);

        double[] conditional = file.Tensors["velocity_cond"].ToDoubles(), unconditional = file.Tensors["velocity_uncond"].ToDoubles();
        double scale = request.CfgScale!.Value;
        double[] velocity = [.. conditional.Zip(unconditional, (c, u) => u + (scale * (c - u)))];
        int[] recorded = Integers(item, "velocity_steps") ?? [.. Enumerable.Range(0, steps)];
        GenerationResult result = pipeline.Generate(request with
        {
            OnStep = s =>
            {
                int at = Array.IndexOf(recorded, s.Step), each = s.Velocity.Length;
                if (at >= 0)
                {
                    comparer.Tensor("velocity", s.Velocity.Span, velocity.AsSpan(at * each, each), VelocityGate);
                }

                if (s.Step == (steps / 2) - 1)
                {
                    comparer.Tensor("latents_half_way", s.Latents.Span, file.Tensors["latents_half_way"], LatentGate);
                }
            },
        });
        comparer.Tensor("latents", result.Latents, file.Tensors["latents"], LatentGate);
        if (file.Tensors.TryGetValue("video", out HostTensor video))
        {
            comparer.Tensor("video", ChannelsFirst(result, Integers(item, "video_frames")), video, FrameGate);
        }

        return comparer.Result(name);
    }

    private static void Features(Comparer comparer, WanPipeline pipeline, string name, string prompt, SafetensorsFile file)
    {
        // States of padding are zero in the recorded features, and left out by the pipeline.
        float[] padded = new float[file.Tensors[name].Count], states = pipeline.EncodePrompt(prompt);
        states.CopyTo(padded, 0);
        comparer.Tensor(name, padded, file.Tensors[name], FeatureGate);
    }

    /// <summary>Frames [F, 3, H, W] as [3, F, H, W], those named or all.</summary>
    private static float[] ChannelsFirst(GenerationResult result, int[]? frames)
    {
        int plane = result.Planes.Height * result.Planes.Width;
        return [.. Enumerable.Range(0, 3).SelectMany(c => (frames ?? [.. Enumerable.Range(0, result.Frames)])
            .SelectMany(f => result.Planes.Values.AsSpan(((f * 3) + c) * plane, plane).ToArray()))];
    }

    private static int[]? Integers(JsonElement item, string key) =>
        item.TryGetProperty(key, out JsonElement list) ? [.. list.EnumerateArray().Select(i => i.GetInt32())] : null;

    private static GenerationRequest Request(JsonElement item) => new()
    {
        Prompt = item.GetProperty("prompt").GetString()!,
        NegativePrompt = item.GetProperty("negative_prompt").GetString()!,
        Seed = item.GetProperty("noise_seed").GetUInt64(),
        Steps = item.GetProperty("steps").GetInt32(),
        FlowShift = (float)item.GetProperty("shift").GetDouble(),
        CfgScale = (float)item.GetProperty("guidance").GetDouble(),
        VideoFrames = item.GetProperty("frames").GetInt32(),
        Width = item.GetProperty("width").GetInt32(),
        Height = item.GetProperty("height").GetInt32(),
        SamplingMethod = item.GetProperty("sampler").GetString() switch
        {
            "euler" => SamplingMethod.Euler,
            "unipc" => SamplingMethod.UniPc,
            _ => SamplingMethod.DpmPlusPlus,
        },
    };
}
