namespace DiCacheNative.Imaging;

/// <summary>What every video encoder asks of its frames.</summary>
internal static class VideoFrames
{
    /// <exception cref="ArgumentException">No frame, frames of different sizes, no frame rate, or no name.</exception>
    /// <exception cref="DirectoryNotFoundException">The directory of the file does not exist.</exception>
    public static void Check(IReadOnlyList<Image> frames, double fps, string path)
    {
        ArgumentNullException.ThrowIfNull(frames);
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (frames.Count == 0)
        {
            throw new ArgumentException("a video needs at least one frame");
        }

        if (frames.FirstOrDefault(f => (f.Width, f.Height) != (frames[0].Width, frames[0].Height)) is { } other)
        {
            throw new ArgumentException(
                $"a video cannot have frames of {frames[0].Width}x{frames[0].Height} and of {other.Width}x{other.Height}");
        }

        string folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? string.Empty;
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"{path} cannot be written: the directory {folder} does not exist, create it first");
        }

        if (!(fps > 0 && fps <= 1000))
        {
            throw new ArgumentException($"the frame rate must lie above 0 and be at most 1000, not {fps}");
        }
    }
}
