using System.Globalization;
using DiCacheNative.Imaging;

namespace DiCacheNative.Cli;

/// <summary>The texts stored in a picture: all that is needed to make it again.</summary>
/// <param name="model">The model's folder or file, as it was given.</param>
/// <param name="diffusionModel">The transformer used in place of the model's, or null.</param>
/// <param name="precision">Precision as it was asked for.</param>
/// <param name="backend">Name of the backend.</param>
/// <param name="cache">The cache.</param>
internal sealed class PictureSettings(string model, string? diffusionModel, string precision, string backend, CacheChoice cache)
{
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

        parts.AddRange([Part("Seed", generated.SeedOf(index)), $"Size: {image.Width}x{image.Height}"]);
        parts.AddRange([Part("Sampler", GenerationReport.NameOf(request.SamplingMethod)), Part("RNG", request.Rng), Part("Cache", cache.Mode)]);
        if (cache.Settings.Count > 0)
        {
            parts.Add($"Cache options: \"{string.Join(",", cache.Settings.Select(s => $"{s.Key}={s.Value}"))}\"");
        }

        parts.Add(Part("Model", NameOf(model)));
        if (diffusionModel is not null)
        {
            parts.Add(Part("Diffusion model", NameOf(diffusionModel)));
        }

        parts.AddRange([Part("Precision", precision), Part("Backend", backend), Part("Version", GenerationReport.Version)]);
        string negative = request.CfgScale == 1 ? string.Empty : $"\nNegative prompt: {request.NegativePrompt}";
        return [new("Software", "DiCacheNative"), new("parameters", $"{request.Prompt}{negative}\n{string.Join(", ", parts)}")];
    }

    private static string Part(string key, object? value) => string.Create(CultureInfo.InvariantCulture, $"{key}: {value}");

    // The name alone: where it lies on this machine is nobody's business.
    private static string NameOf(string path) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
}
