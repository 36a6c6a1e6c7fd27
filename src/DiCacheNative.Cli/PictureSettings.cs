using System.Globalization;
using System.Reflection;
using DiCacheNative.Imaging;

namespace DiCacheNative.Cli;

/// <summary>The texts stored in a picture: all that is needed to make it again.</summary>
/// <param name="model">The model's folder or file, as it was given.</param>
/// <param name="diffusionModel">The transformer used in place of the model's, or null.</param>
/// <param name="backend">Name of the backend.</param>
/// <param name="cacheMode">Mode of the cache.</param>
/// <param name="cacheSettings">Settings of the cache that were given, by key.</param>
internal sealed class PictureSettings(
    string model, string? diffusionModel, string backend, string cacheMode, IReadOnlyDictionary<string, string> cacheSettings)
{
    private static readonly string s_version =
        typeof(PictureSettings).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
            ?? string.Empty;

    /// <summary>Keys and texts of an image, or of a video (image 0).</summary>
    public KeyValuePair<string, string>[] Of(GenerationResult generated, int index)
    {
        GenerationRequest request = generated.Request;
        Image image = generated.Images[0];
        List<string> parts = [Part("Steps", request.Steps), Part("CFG scale", request.CfgScale)];
        if (generated.Fps > 0)
        {
            parts.Add(Part("Frames", generated.Frames));
        }

        if (request.FlowShift is { } shift)
        {
            parts.Add(Part("Flow shift", shift));
        }

        if (request.Guidance is { } guidance)
        {
            parts.Add(Part("Guidance", guidance));
        }

        string sampler = request.SamplingMethod switch
        {
            SamplingMethod.UniPc => "UniPC",
            SamplingMethod.DpmPlusPlus => "DPM++",
            _ => "flow-match Euler",
        };
        parts.AddRange([Part("Seed", generated.SeedOf(index)), $"Size: {image.Width}x{image.Height}"]);
        parts.AddRange([Part("Sampler", sampler), Part("RNG", request.Rng), Part("Cache", cacheMode)]);
        if (cacheSettings.Count > 0)
        {
            IEnumerable<string> pairs = cacheSettings.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"{s.Key}={s.Value}");
            parts.Add($"Cache options: \"{string.Join(',', pairs)}\"");
        }

        parts.Add(Part("Model", NameOf(model)));
        if (diffusionModel is not null)
        {
            parts.Add(Part("Diffusion model", NameOf(diffusionModel)));
        }

        parts.AddRange([Part("Backend", backend), Part("Version", s_version)]);
        string negative = request.CfgScale == 1 ? string.Empty : $"\nNegative prompt: {request.NegativePrompt}";
        return [new("Software", "DiCacheNative"), new("parameters", $"{request.Prompt}{negative}\n{string.Join(", ", parts)}")];
    }

    private static string Part(string key, object? value) => string.Create(CultureInfo.InvariantCulture, $"{key}: {value}");

    // The name alone: where it lies on this machine is nobody's business.
    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
}
