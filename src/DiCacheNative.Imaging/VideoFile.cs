using System.Globalization;

namespace DiCacheNative.Imaging;

/// <summary>Writes frames to video files; the extension says the format.</summary>
public static class VideoFile
{
    private const string Gif = ".gif", Png = ".png";

    /// <summary>The extensions that are written, with the dot: those of ffmpeg, .gif, and .png for numbered frames.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [.. FfmpegVideoEncoder.Extensions, Gif, Png];

    /// <summary>Writes a video in the format of its extension, completely or not at all.</summary>
    /// <param name="frames">At least one frame; all of one size.</param>
    /// <param name="fps">Frames per second, above 0 and at most 1000; at most 50 for a GIF.</param>
    /// <param name="path">The file to create or replace: .mp4, .webm or .webp (by ffmpeg), .gif, or .png for numbered frames.</param>
    /// <param name="text">Keys and texts to store with the video where the format can; null for none.</param>
    /// <param name="cancellationToken">Ends the work; nothing is left behind.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="ArgumentException">No frame, frames of different sizes, or an extension that is not written.</exception>
    /// <exception cref="IOException">The file cannot be written, or there is no ffmpeg that can.</exception>
    public static Task<IReadOnlyList<string>> SaveAsync(
        this IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null,
        CancellationToken cancellationToken = default)
    {
        IVideoEncoder encoder = Find(path, out string? told) ?? throw new IOException($"{path} cannot be written: {told}");
        return encoder.EncodeAsync(frames, fps, path, text, cancellationToken);
    }

    /// <summary>Finds what writes a file; for .mp4, .webm and .webp an ffmpeg that has an encoder for it.</summary>
    /// <param name="path">The file that will be written.</param>
    /// <param name="told">
    /// When there is none, the reason; else what differs from what was to be expected, or null. One sentence without a full stop.
    /// </param>
    /// <returns>The encoder; null when ffmpeg is needed and there is none that can.</returns>
    /// <exception cref="ArgumentException">The extension is not written.</exception>
    public static IVideoEncoder? Find(string path, out string? told)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        told = null;
        string extension = Path.GetExtension(path).ToLowerInvariant();
        return extension switch
        {
            Gif => new GifVideoEncoder(),
            Png => new PngSequenceEncoder(),
            _ when FfmpegVideoEncoder.Extensions.Contains(extension) => FfmpegVideoEncoder.Find(extension, out told),
            _ => throw new ArgumentException($"videos are written as {string.Join(", ", Extensions)}, not as \"{extension}\" ({path})"),
        };
    }

    /// <summary>What a format does to a frame rate that it cannot keep as it is; null when it can.</summary>
    /// <param name="path">The file that will be written.</param>
    /// <param name="fps">Frames per second.</param>
    public static string? DescribeRate(string path, double fps)
    {
        ArgumentNullException.ThrowIfNull(path);
        double delay = 100 / fps;
        return !Path.GetExtension(path).Equals(Gif, StringComparison.OrdinalIgnoreCase) || fps > GifVideoEncoder.MaxFps
            || delay == Math.Round(delay) ? null
            : string.Create(
                CultureInfo.InvariantCulture,
                $"a GIF counts hundredths of a second, so {fps:0.###} frames a second are kept on the whole, "
                + $"with frames of {Math.Floor(delay):0} and {Math.Ceiling(delay):0} of them; 25 and 50 are even");
    }
}
