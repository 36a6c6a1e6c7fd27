using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using DiCacheNative.Caching;
using DiCacheNative.Imaging;

namespace DiCacheNative.Cli;

/// <summary>What is told about a generation, as a line or as JSON.</summary>
/// <param name="model">Model folder as it was given.</param>
/// <param name="diffusionModel">Transformer used instead of the folder's; null for that.</param>
/// <param name="precision">Precision as it was asked for.</param>
/// <param name="engine">The engine.</param>
/// <param name="cache">The cache.</param>
/// <param name="fps">Frames per second of the video written; 0 for images.</param>
/// <param name="generated">What came out.</param>
internal sealed class GenerationReport(
    string model, string? diffusionModel, string precision, Engine engine, CacheChoice cache, double fps, GenerationResult generated)
{
    private const double Mebibyte = 1048576;
    private const int MostNamed = 4;

    /// <summary>Version of the program.</summary>
    public static string Version { get; } =
        typeof(GenerationReport).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
            ?? "unknown";

    private GenerationRequest Request => generated.Request;

    private bool IsVideo => generated.Fps > 0;

    private double IdealSpeedUp => generated.Flops.IdealSpeedUp(generated.Cache.Full + generated.Cache.Resume, generated.Cache.Skip);

    /// <summary>Name of a solver.</summary>
    public static string NameOf(SamplingMethod? method) =>
        method switch { SamplingMethod.UniPc => "UniPC", SamplingMethod.DpmPlusPlus => "DPM++", _ => "flow-match Euler" };

    /// <summary>Writes the report.</summary>
    public void Write(Terminal terminal, IReadOnlyList<string> outputs, string? trace, bool json)
    {
        using Process process = Process.GetCurrentProcess();
        if (json)
        {
            terminal.WriteJson(Json(outputs, trace, process.PeakWorkingSet64, terminal.Notes));
            return;
        }

        Image image = generated.Images[0];
        GenerationTimes t = generated.Times;
        CacheStats done = generated.Cache;
        string shown = outputs.Count > MostNamed ? $"{outputs[0]} to {outputs[^1]}" : string.Join(", ", outputs);
        string length = IsVideo ? string.Create(CultureInfo.InvariantCulture, $", {generated.Frames} frames at {fps:0.###} a second")
            : string.Empty;

        // Standard output takes a picture alone.
        TextWriter writer = outputs[0] == OutputPlan.StandardOutput ? terminal.Error : terminal.Output;
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{shown}: {image.Width}x{image.Height}{length}, seed {generated.Seed}, {Request.Steps} steps on {engine.Backend.Name}; "
            + $"{done.Full} full, {done.Resume} resumed, {done.Skip} skipped (ideal speed-up {IdealSpeedUp:0.00}x); "
            + $"load {t.Load:0} ms, text {t.Text:0} ms, denoise {t.Denoise:0} ms, vae {t.Vae:0} ms, total {t.Total:0} ms; "
            + $"peak memory {process.PeakWorkingSet64 / Mebibyte:0} MiB"));
    }

    // By the folder of the encoder.
    private JsonObject Tokens(Func<PromptTokens, int> count) =>
        new(generated.PromptTokens.Select(p => KeyValuePair.Create(p.Encoder, (JsonNode?)count(p))));

    private JsonObject Json(IReadOnlyList<string> outputs, string? trace, long peak, IReadOnlyList<string> notes)
    {
        Image image = generated.Images[0];
        GenerationTimes t = generated.Times;
        CacheStats done = generated.Cache;
        JsonObject settings = [];
        foreach ((string key, string value) in cache.Settings)
        {
            settings[key] = value;
        }

        return new JsonObject
        {
            ["version"] = Version,
            ["output"] = outputs[0],
            ["outputs"] = JsonReport.List(outputs),
            ["trace"] = trace,
            ["model"] = model,
            ["diffusion_model"] = diffusionModel,
            ["family"] = engine.Pipeline.Family.ToString().ToLowerInvariant(),
            ["prompt"] = Request.Prompt,
            ["negative_prompt"] = Request.NegativePrompt,
            ["prompt_tokens"] = Tokens(p => p.Given),
            ["prompt_tokens_used"] = Tokens(p => p.Used),
            ["width"] = image.Width,
            ["height"] = image.Height,
            ["frames"] = generated.Frames,
            ["fps"] = fps,
            ["latents"] = generated.Latents.Length,
            ["seed"] = generated.Seed,
            ["rng"] = Request.Rng.ToString().ToLowerInvariant(),
            ["batch_count"] = Request.BatchCount,
            ["steps"] = Request.Steps,
            ["sampler"] = NameOf(Request.SamplingMethod),
            ["flow_shift"] = Request.FlowShift,
            ["cfg_scale"] = Request.CfgScale,
            ["guidance"] = Request.Guidance,
            ["backend"] = engine.Backend.Name,
            ["device"] = engine.Backend.Description,
            ["precision"] = precision,
            ["cache"] = new JsonObject
            {
                ["mode"] = cache.Mode,
                ["settings"] = settings,
                ["full"] = done.Full,
                ["resume"] = done.Resume,
                ["skip"] = done.Skip,
                ["non_finite"] = done.NonFinite,
                ["ideal_speed_up"] = IdealSpeedUp,
                ["bytes"] = cache.Mode == "none" ? 0 : generated.CacheBytes,
            },
            ["time_ms"] = new JsonObject
            {
                ["load"] = t.Load,
                ["text"] = t.Text,
                ["denoise"] = t.Denoise,
                ["vae"] = t.Vae,
                ["total"] = t.Total,
            },
            ["peak_memory_bytes"] = peak,
            ["notes"] = JsonReport.List(notes),
        };
    }
}
