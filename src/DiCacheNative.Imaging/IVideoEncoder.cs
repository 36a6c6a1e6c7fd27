namespace DiCacheNative.Imaging;

/// <summary>Writes frames as a video.</summary>
public interface IVideoEncoder
{
    /// <summary>Writes a video, completely or not at all.</summary>
    /// <param name="frames">At least one frame; all of one size.</param>
    /// <param name="fps">Frames per second, above 0.</param>
    /// <param name="path">The file to create or replace; its extension says the format.</param>
    /// <param name="text">Keys and texts to store with the video where the format can; null for none.</param>
    /// <param name="cancellationToken">Ends the work; nothing is left behind.</param>
    /// <returns>The files written.</returns>
    /// <exception cref="ArgumentException">No frame, frames of different sizes, or an extension that is not written.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null,
        CancellationToken cancellationToken = default);
}
