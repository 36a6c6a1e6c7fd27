using System.Text.Json;
using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>What the golden cases of WAN and HunyuanVideo have in common.</summary>
internal static class VideoGolden
{
    /// <summary>The checkpoints beside a case: folders "original" and "diffusers" with weights in them.</summary>
    public static IEnumerable<(string Layout, string Path)> Layouts(string caseFolder)
    {
        foreach (string layout in new[] { "original", "diffusers" })
        {
            string path = Path.Combine(Parent(caseFolder), layout);
            if (Directory.Exists(path) && Directory.EnumerateFiles(path, "*.safetensors").Any())
            {
                yield return (layout, path);
            }
        }
    }

    /// <summary>The class of the model beside a case, from its configuration; null if there is none.</summary>
    public static string? ModelClass(string caseFolder)
    {
        foreach ((_, string path) in Layouts(caseFolder))
        {
            JsonElement config = GoldenFolder.ReadJson(path, "config.json");
            if (config.TryGetProperty("_class_name", out JsonElement name) || config.TryGetProperty("model", out name))
            {
                return name.GetString();
            }
        }

        return null;
    }

    /// <summary>Text tokens that prompts are padded to, which only the configuration of the released layout says; null if it is not there.</summary>
    public static int? TextTokens(string caseFolder) =>
        File.Exists(Path.Combine(Parent(caseFolder), "original", "config.json"))
        && GoldenFolder.ReadJson(Path.Combine(Parent(caseFolder), "original"), "config.json").TryGetProperty("text_len", out JsonElement length)
            ? length.GetInt32() : null;

    /// <summary>Size of latents [.., F, H, W].</summary>
    public static LatentSize Latent(in HostTensor latents) => new(latents.Shape[^3], latents.Shape[^2], latents.Shape[^1]);

    /// <summary>The gate of a tensor: what is asked for, or four times the difference of the reference's own binary32 and binary64 runs.</summary>
    public static double Gate(JsonElement info, string tensor, double gate) =>
        info.TryGetProperty("noise_floor_f32_vs_f64", out JsonElement floors) && floors.TryGetProperty(tensor, out JsonElement floor)
            ? Math.Max(gate, 4 * (Comparer.Number(floor, "max_abs") ?? 0)) : gate;

    /// <summary>[1, D, F, H, W] as [F H W, D].</summary>
    public static double[] TokensFirst(double[] values, int width)
    {
        int tokens = values.Length / width;
        double[] result = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            result[(i % tokens * width) + (i / tokens)] = values[i];
        }

        return result;
    }

    /// <summary>Every value twice: rotary tables are recorded with one value for each of a pair, and kept with one for both.</summary>
    public static float[] InPairs(float[] values) => [.. values.SelectMany(v => new[] { v, v })];

    /// <summary>One whole forward with the conditions of slot 0.</summary>
    public static void Forward(DiTProgram program, float[] latents, float timestep)
    {
        IBackend backend = program.Backend;
        FeatureShape f = program.Features;
        using Arena arena = backend.CreateArena(2 * (((long)f.Batch * f.Tokens * f.Width * f.Type.Size()) + Arena.Alignment), "a golden case");
        Tensor x0 = arena.Allocate(f.Type, f.Batch, f.Tokens, f.Width), p = arena.Allocate(f.Type, f.Batch, f.Tokens, f.Width);
        program.SetTimesteps([timestep]);
        backend.Upload(latents, program.Input);
        program.Select(0, 0);
        program.Embed(x0);
        program.Probe(1, x0, p, default);
        program.Body(1, x0, p, default);
        program.Head();
        backend.Synchronize();
    }

    /// <summary>Compares sigmas and time steps.</summary>
    public static void CompareTables(Comparer comparer, ISampler sampler, SafetensorsFile run)
    {
        foreach ((string name, IReadOnlyList<float> table, double gate) in new[] { ("sigmas", sampler.Sigmas, 1e-6), ("timesteps", sampler.Timesteps, 1e-3) })
        {
            if (run.Tensors.TryGetValue(name, out HostTensor expected))
            {
                comparer.Tensor(name, [.. table], expected, gate);
            }
        }
    }

    /// <summary>Asks for every tensor of a single forward, and for those that the case says it holds.</summary>
    public static void ExpectForward(Comparer comparer, JsonElement info, SafetensorsFile outputs)
    {
        comparer.Expect(outputs.Tensors.Keys, "outputs.safetensors");
        comparer.Expect(info.GetProperty("noise_floor_f32_vs_f64").EnumerateObject().Select(f => f.Name), "case.json");
    }

    /// <summary>Asks for every tensor of a sampling run; these four are in each.</summary>
    public static void ExpectRun(Comparer comparer, SafetensorsFile run) =>
        comparer.Expect(run.Tensors.Keys.Union(["sigmas", "timesteps", "noise_pred", "latents"]), "run.safetensors");

    /// <summary>Compares one step of a recorded series.</summary>
    public static void CompareStep(Comparer comparer, string tensor, float[] actual, SafetensorsFile run, int step, double gate)
    {
        if (run.Tensors.TryGetValue(tensor, out HostTensor series))
        {
            comparer.Tensor(tensor, actual, step < series.Shape[0] ? series.Rows(step, 1).ToDoubles() : [], gate);
        }
    }

    private static string Parent(string caseFolder) => Path.GetDirectoryName(Path.GetFullPath(Path.TrimEndingDirectorySeparator(caseFolder)))!;
}

/// <summary>Intermediate tensors of a program, sample by sample.</summary>
internal sealed class Observations(IBackend backend, int samples)
{
    /// <summary>The sample to keep.</summary>
    public int Sample { get; set; }

    /// <summary>By name, an array for each sample.</summary>
    public Dictionary<string, float[][]> Values { get; } = [];

    /// <summary>Keeps a tensor: the sample's part of it, or all of it when it holds for every sample.</summary>
    public void Add(string name, Tensor value)
    {
        Tensor part = value.Batch == samples ? value.SliceBatch(Sample) : value;
        if (!Values.TryGetValue(name, out float[][]? kept))
        {
            Values.Add(name, kept = new float[samples][]);
        }

        kept[Sample] = new float[part.Count];
        backend.Download(part, kept[Sample]);
    }
}
