using System.Globalization;

namespace DiCacheNative.Imaging;

/// <summary>Writes every frame as a PNG of its own beside the name given: out.png, out.mp4, … become out-0001.png, out-0002.png, …</summary>
public sealed class PngSequenceEncoder : IVideoEncoder
{
    /// <inheritdoc/>
    /// <remarks>The frame rate is not stored. The frames appear together, when all are written.</remarks>
    public async Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null, CancellationToken cancellationToken = default)
    {
        VideoFrames.Check(frames, fps, path);
        string folder = Path.GetDirectoryName(path) ?? string.Empty, name = Path.GetFileNameWithoutExtension(path);
        string[] targets = [.. frames.Select((_, i) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{name}-{i + 1:0000}.png")))];
        string temporary = Path.Combine(folder, $".{Path.GetRandomFileName()}.tmp");
        try
        {
            Directory.CreateDirectory(temporary);
            await Parallel.ForAsync(0, frames.Count, cancellationToken, (i, cancel) =>
            {
                using FileStream stream = File.Create(Path.Combine(temporary, Path.GetFileName(targets[i])));
                frames[i].Encode(stream, ImageFormat.Png, text);
                return ValueTask.CompletedTask;
            });
            cancellationToken.ThrowIfCancellationRequested();
            foreach (string target in targets)
            {
                File.Move(Path.Combine(temporary, Path.GetFileName(target)), target, overwrite: true);
            }

            return targets;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"the frames {targets[0]} to {targets[^1]} cannot be written: {e.Message}", e);
        }
        finally
        {
            if (Directory.Exists(temporary))
            {
                Directory.Delete(temporary, recursive: true);
            }
        }
    }
}
