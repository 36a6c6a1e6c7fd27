using System.Globalization;
using DiCacheNative.Imaging;

namespace DiCacheNative.Cli;

/// <summary>Writes what was generated, with its settings inside the files.</summary>
/// <param name="backend">Name of the backend.</param>
/// <param name="cacheMode">Mode of the cache.</param>
/// <param name="log">Receives notes for the user.</param>
internal sealed class OutputFiles(string backend, string cacheMode, Action<string>? log)
{
    private const string Png = ".png", Gif = ".gif";

    private static string[] VideoExtensions => [.. FfmpegVideoEncoder.Extensions, Gif, Png];

    /// <summary>Refuses an extension that is not written for the kind of model.</summary>
    /// <exception cref="ArgumentException">It is not written.</exception>
    public static void CheckExtension(string output, bool video)
    {
        string extension = Path.GetExtension(output);
        IReadOnlyList<string> known = video ? VideoExtensions : ImageFile.Extensions;
        if (!known.Contains(extension, StringComparer.OrdinalIgnoreCase))
        {
            throw new ArgumentException(
                $"--output must end in {string.Join(", ", known)}, not \"{extension}\": this model makes {(video ? "videos (.png: numbered frames)" : "images")}");
        }
    }

    /// <summary>Writes images: the name given, or NAME-0.png, NAME-1.png, … for several.</summary>
    /// <returns>The files written.</returns>
    public IReadOnlyList<string> WriteImages(string output, GenerationResult generated)
    {
        int count = generated.Images.Count;
        string[] outputs = [.. Enumerable.Range(0, count).Select(i => OutputPath(output, i, count))];
        for (int i = 0; i < count; i++)
        {
            generated.Images[i].Save(outputs[i], Settings(generated, generated.SeedOf(i)));
        }

        return outputs;
    }

    /// <summary>Writes a video, or its frames as numbered PNG files when that was asked for or ffmpeg is missing.</summary>
    /// <returns>The files written.</returns>
    public Task<IReadOnlyList<string>> WriteVideoAsync(string output, GenerationResult generated, double fps, CancellationToken cancel)
    {
        bool frames = HasExtension(output, Png), gif = HasExtension(output, Gif);
        string? program = frames || gif ? null : FfmpegVideoEncoder.Find();
        if (!frames && !gif && program is null)
        {
            log?.Invoke($"ffmpeg was not found on the PATH, so the frames are written as numbered PNG files beside {output}");
        }

        IVideoEncoder encoder = gif ? new GifVideoEncoder() : program is null ? new PngSequenceEncoder() : new FfmpegVideoEncoder(program);
        return encoder.EncodeAsync(generated.Images, fps, output, Settings(generated, generated.Seed), cancel);
    }

    private static bool HasExtension(string path, string extension) => Path.GetExtension(path).Equals(extension, StringComparison.OrdinalIgnoreCase);

    private static string OutputPath(string output, int index, int count) =>
        count == 1 ? output : Path.Combine(Path.GetDirectoryName(output) ?? string.Empty, $"{Path.GetFileNameWithoutExtension(output)}-{index}{Path.GetExtension(output)}");

    private KeyValuePair<string, string>[] Settings(GenerationResult generated, ulong seed)
    {
        GenerationRequest request = generated.Request;
        Image image = generated.Images[0];
        string sampler = request.SamplingMethod switch { SamplingMethod.UniPc => "UniPC", SamplingMethod.DpmPlusPlus => "DPM++", _ => "flow-match Euler" };
        string own = generated.Fps > 0 ? string.Create(CultureInfo.InvariantCulture, $"Frames: {generated.Frames}, Flow shift: {request.FlowShift}, ")
            : request.Guidance is { } guidance ? string.Create(CultureInfo.InvariantCulture, $"Guidance: {guidance}, ") : string.Empty;
        string parameters = string.Create(
            CultureInfo.InvariantCulture,
            $"Steps: {request.Steps}, CFG scale: {request.CfgScale}, {own}Seed: {seed}, Size: {image.Width}x{image.Height}, Sampler: {sampler}, RNG: {request.Rng}, Cache: {cacheMode}, Backend: {backend}");
        string negative = request.CfgScale == 1 ? string.Empty : $"\nNegative prompt: {request.NegativePrompt}";
        return [new("Software", "DiCacheNative"), new("parameters", $"{request.Prompt}{negative}\n{parameters}")];
    }
}
