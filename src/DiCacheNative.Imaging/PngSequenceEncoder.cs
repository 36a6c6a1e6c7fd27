namespace DiCacheNative.Imaging;

/// <summary>
/// Writes every frame as a PNG of its own: out.png, out.mp4, … become out-0001.png, out-0002.png, …; in a name with %d (or %04d) the
/// number takes that place.
/// </summary>
public sealed class PngSequenceEncoder : IVideoEncoder
{
    /// <summary>The files of a number of frames, in order.</summary>
    /// <param name="path">The name given.</param>
    /// <param name="count">Number of frames.</param>
    public static string[] Names(string path, int count)
    {
        NumberedName name = new(Path.ChangeExtension(path, ".png"), "-", digits: 4);
        return [.. Enumerable.Range(1, count).Select(name.Of)];
    }

    /// <inheritdoc/>
    /// <remarks>The frame rate is not stored. The frames appear together, when all are written.</remarks>
    public async Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null,
        CancellationToken cancellationToken = default)
    {
        VideoFrames.Check(frames, fps, path);
        string[] targets = Names(path, frames.Count);
        PendingFile?[] files = new PendingFile?[targets.Length];
        try
        {
            await Parallel.ForAsync(0, frames.Count, cancellationToken, (i, cancel) =>
            {
                PendingFile file = files[i] = PendingFile.Create(targets[i]);
                FileFailure.Named(targets[i], () => frames[i].Encode(file.Stream, ImageFormat.Png, text));
                file.Close();
                return ValueTask.CompletedTask;
            });
            cancellationToken.ThrowIfCancellationRequested();
            foreach (PendingFile? file in files)
            {
                file!.Commit();
            }

            return targets;
        }
        finally
        {
            foreach (PendingFile? file in files)
            {
                file?.Dispose();
            }
        }
    }
}
