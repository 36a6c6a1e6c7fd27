using System.Globalization;

namespace DiCacheNative.Imaging;

/// <summary>
/// Writes videos with the ffmpeg program: .mp4, .webm and .webp. Frames go to it as raw RGB; it writes under another name in the same
/// directory, and the file gets its name when ffmpeg has ended without a word and the content is on the disk. The same frames give the
/// same bytes with the same ffmpeg.
/// </summary>
public sealed class FfmpegVideoEncoder : IVideoEncoder
{
    // Command lines have a limit, and what is stored in a video is for reading.
    private const int LongestComment = 16_000;

    // Players guess the matrix of an untagged video from its size: the one used is named.
    private static readonly string[] s_color =
    [
        "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709",
        "-color_trc", "bt709", "-color_range", "tv",
    ];

    // The first encoder that an ffmpeg has is used: the usual one, then what plays in fewer places or is slower.
    private static readonly Dictionary<string, Codec[]> s_formats = new(StringComparer.OrdinalIgnoreCase)
    {
        [".mp4"] =
        [
            new("libx264", ["-crf", "18", .. s_color, "-movflags", "+faststart"]),
            new("libopenh264", ["-b:v", "8M", .. s_color, "-movflags", "+faststart"]),
            new("mpeg4", ["-q:v", "2", .. s_color, "-movflags", "+faststart"]),
        ],
        [".webm"] =
        [
            new("libvpx-vp9", ["-crf", "18", "-b:v", "0", .. s_color]),
            new("libsvtav1", ["-crf", "20", .. s_color]),
            new("libaom-av1", ["-crf", "18", "-b:v", "0", "-cpu-used", "6", .. s_color]),
            new("libvpx", ["-crf", "10", "-b:v", "8M", .. s_color]),
        ],
        [".webp"] = [new("libwebp_anim", ["-quality", "90", "-loop", "0"]), new("libwebp", ["-quality", "90", "-loop", "0"])],
    };

    private readonly string _program;
    private readonly IReadOnlySet<string>? _encoders;
    private readonly TimeSpan _patience;

    /// <summary>Uses a program.</summary>
    /// <param name="program">Path of ffmpeg.</param>
    /// <param name="encoders">Names of its encoders; null when it has all that are usual.</param>
    public FfmpegVideoEncoder(string program, IReadOnlySet<string>? encoders = null)
        : this(program, encoders, TimeSpan.FromMinutes(1))
    {
    }

    internal FfmpegVideoEncoder(string program, IReadOnlySet<string>? encoders, TimeSpan patience)
    {
        ArgumentException.ThrowIfNullOrEmpty(program);
        (_program, _encoders, _patience) = (program, encoders, patience);
    }

    /// <summary>Extensions it writes, with the dot.</summary>
    public static IReadOnlyCollection<string> Extensions => s_formats.Keys;

    /// <summary>
    /// Finds an ffmpeg in the directories of PATH that runs and has an encoder for a format: it is asked for its encoders.
    /// </summary>
    /// <param name="extension">The format, as in ".mp4".</param>
    /// <param name="told">
    /// When there is none, the reason; else which unusual encoder will be used, or null. One sentence without a full stop.
    /// </param>
    /// <returns>The encoder; null when there is none.</returns>
    /// <exception cref="ArgumentException">The extension is not written.</exception>
    public static FfmpegVideoEncoder? Find(string extension, out string? told)
    {
        Codec[] codecs = Codecs(extension);
        told = "no ffmpeg that runs was found on the PATH";
        foreach (string program in Ffmpeg.Candidates())
        {
            if (Ffmpeg.Encoders(program) is not { } encoders)
            {
                continue;
            }

            if (codecs.FirstOrDefault(c => encoders.Contains(c.Name)) is { } codec)
            {
                told = codec == codecs[0] ? null
                    : $"{program} has no {codecs[0].Name}, so the {extension} is encoded with {codec.Name}, which not every player knows";
                return new FfmpegVideoEncoder(program, encoders);
            }

            told = $"{program} has no encoder for {extension} (wanted: {string.Join(", ", codecs.Select(c => c.Name))})";
        }

        return null;
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null,
        CancellationToken cancellationToken = default)
    {
        VideoFrames.Check(frames, fps, path);
        string extension = Path.GetExtension(path);
        Codec[] codecs = Codecs(extension);
        Codec codec = _encoders is null ? codecs[0] : codecs.FirstOrDefault(c => _encoders.Contains(c.Name))
            ?? throw FileFailure.Of(
                path, $"{_program} has no encoder for {extension} (wanted: {string.Join(", ", codecs.Select(c => c.Name))})");

        // ffmpeg takes the container from the extension, so the temporary name keeps it.
        using PendingFile file = PendingFile.Create(path, extension);
        string size = $"{frames[0].Width}x{frames[0].Height}", rate = fps.ToString("R", CultureInfo.InvariantCulture);
        string comment = string.Join("\n", (text ?? []).Select(t => t.Value));
        string? problem = await Ffmpeg.RunAsync(
            _program,
            ["-hide_banner", "-nostdin", "-loglevel", "error", "-xerror", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size,
                "-framerate", rate, "-i", "pipe:0",
                "-c:v", codec.Name, .. codec.Options, "-fflags", "+bitexact", "-flags:v", "+bitexact",
                "-metadata", $"comment={(comment.Length <= LongestComment ? comment : comment[..LongestComment] + "…")}",
                "-progress", "pipe:1", file.Name],
            frames, _patience, cancellationToken);
        problem ??= new FileInfo(file.Name) is { Exists: true, Length: > 0 } ? null : "ffmpeg ended as if all were well, but wrote nothing";
        if (problem is not null)
        {
            bool full = problem.Contains(Ffmpeg.DiskFull, StringComparison.Ordinal);
            throw FileFailure.Of(path, full ? $"the disk is full ({problem})" : problem);
        }

        file.Commit();
        return [path];
    }

    private static Codec[] Codecs(string extension) =>
        s_formats.GetValueOrDefault(extension)
            ?? throw new ArgumentException($"ffmpeg is used for {string.Join(", ", Extensions)}, not for \"{extension}\"");

    private sealed record Codec(string Name, string[] Options);
}
