using DiCacheNative.Imaging;

namespace DiCacheNative.Cli;

/// <summary>
/// What a generation will write and how, checked before any work is done: a generation may take minutes, and its result must not be lost
/// for a name that could never have been written.
/// </summary>
internal sealed class OutputPlan
{
    /// <summary>The name that stands for standard output.</summary>
    public const string StandardOutput = "-";

    private const int MostFrames = 4097;
    private const int MostTried = 64;

    private OutputPlan(string output, string? trace, IReadOnlyList<string> images, IVideoEncoder? video) =>
        (Output, Trace, Images, Video) = (output, trace, images, video);

    /// <summary>The name given, or the default.</summary>
    public string Output { get; }

    /// <summary>Where the trace goes; null for nowhere.</summary>
    public string? Trace { get; }

    /// <summary>The file of each image; empty for a video.</summary>
    public IReadOnlyList<string> Images { get; }

    /// <summary>What writes the video; null for images.</summary>
    public IVideoEncoder? Video { get; }

    /// <summary>Whether the picture goes to standard output, which then takes nothing else.</summary>
    public bool ToStandardOutput => Output == StandardOutput;

    /// <summary>Plans and checks.</summary>
    /// <param name="targets">What was asked for.</param>
    /// <param name="note">Receives what the user should know.</param>
    /// <exception cref="ArgumentException">Names or settings that do not go together, or a format that is not written.</exception>
    /// <exception cref="IOException">A file that cannot be written: the sentence says which and why.</exception>
    public static OutputPlan Create(OutputTargets targets, Action<string> note)
    {
        string output = targets.Output ?? (targets.Video ? "output.mp4" : "output.png");
        return output == StandardOutput ? CreateForStandardOutput(targets)
            : targets.Video ? CreateForVideo(output, targets, note)
            : CreateForImages(output, targets);
    }

    private static OutputPlan CreateForStandardOutput(OutputTargets targets)
    {
        Require(!targets.Video, "--output - writes a picture, and this model makes videos: name a file");
        Require(targets.Images == 1, $"--output - writes one picture, not {targets.Images}: name a file, as in x_%d.png");
        Require(!targets.Json, "--output - and --json would both write to standard output");
        CheckFiles([], targets.Trace);
        return new OutputPlan(StandardOutput, targets.Trace, [StandardOutput], null);
    }

    private static OutputPlan CreateForImages(string output, OutputTargets targets)
    {
        string extension = Path.GetExtension(output);
        Require(
            ImageFile.Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase),
            $"--output must end in {string.Join(", ", ImageFile.Extensions)}, not \"{extension}\": this model makes images");
        ImageFile.CheckSize(ImageFile.FormatOf(output), targets.Width, targets.Height);
        NumberedName name = new(output, "-", digits: 1);
        string[] images = targets.Images == 1 && !name.HasPlace ? [output] : [.. Enumerable.Range(0, targets.Images).Select(name.Of)];
        CheckFiles(images, targets.Trace);
        return new OutputPlan(output, targets.Trace, images, null);
    }

    private static OutputPlan CreateForVideo(string output, OutputTargets targets, Action<string> note)
    {
        string extension = Path.GetExtension(output);
        Require(
            VideoFile.Extensions.Contains(extension, StringComparer.OrdinalIgnoreCase),
            $"--output must end in {string.Join(", ", VideoFile.Extensions)}, not \"{extension}\": this model makes videos "
            + "(.png: numbered frames)");
        if (targets.Fps is { } fps && IsGif(output))
        {
            _ = GifVideoEncoder.Delays(1, fps);
        }

        IVideoEncoder? encoder = VideoFile.Find(output, out string? told);
        if (encoder is null)
        {
            string first = PngSequenceEncoder.Names(output, 1)[0];
            note($"{told}: the frames are written as numbered PNG files, {first} and so on (a .gif needs no ffmpeg)");
            encoder = new PngSequenceEncoder();
        }
        else if (told is not null)
        {
            note(told);
        }

        string[] files = encoder is PngSequenceEncoder ? PngSequenceEncoder.Names(output, targets.Frames ?? MostFrames) : [output];
        CheckFiles(files, targets.Trace);
        return new OutputPlan(output, targets.Trace, [], encoder);
    }

    /// <summary>The rate a video is written with, which a GIF limits.</summary>
    public double Rate(double fps, Action<string> note)
    {
        if (Video is not GifVideoEncoder)
        {
            return fps;
        }

        if (fps > GifVideoEncoder.MaxFps)
        {
            note($"a GIF shows at most {GifVideoEncoder.MaxFps:0} frames a second, so this one of {fps:0.###} plays slower");
            return GifVideoEncoder.MaxFps;
        }

        if (VideoFile.DescribeRate(Output, fps) is { } sentence)
        {
            note(sentence);
        }

        return fps;
    }

    private static bool IsGif(string path) => Path.GetExtension(path).Equals(".gif", StringComparison.OrdinalIgnoreCase);

    // Of many frames the first and the last are tried: they differ in their number alone.
    private static void CheckFiles(string[] outputs, string? trace)
    {
        bool caseless = OperatingSystem.IsWindows() || OperatingSystem.IsMacOS();
        StringComparer names = caseless ? StringComparer.OrdinalIgnoreCase : StringComparer.Ordinal;
        string? same = trace is null ? null : outputs.FirstOrDefault(o => names.Equals(Place(o), Place(trace)));
        Require(same is null, $"--output and --cache-trace would both write {same}");
        string[] tried = outputs.Length <= MostTried ? outputs : [outputs[0], outputs[^1]];
        foreach (string path in trace is null ? tried : [.. tried, trace])
        {
            AtomicFile.Check(path);
        }
    }

    // The file behind links, of itself and of its folder.
    private static string Place(string path)
    {
        string full = Path.GetFullPath(path), folder = Path.GetDirectoryName(full) ?? full;
        try
        {
            folder = Directory.ResolveLinkTarget(folder, returnFinalTarget: true)?.FullName ?? folder;
            full = Path.Combine(folder, Path.GetFileName(full));
            return new FileInfo(full).LinkTarget is null ? full : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
        }
        catch (IOException)
        {
            return full; // a folder that is not there is told by its own check
        }
    }

    private static void Require(bool condition, string sentence)
    {
        if (!condition)
        {
            throw new ArgumentException(sentence);
        }
    }
}
