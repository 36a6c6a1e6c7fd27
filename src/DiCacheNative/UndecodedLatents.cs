namespace DiCacheNative;

/// <summary>Latents of a generation whose decoder failed after the last step: all the work that was done.</summary>
/// <param name="Values">The final latents.</param>
/// <param name="Shape">Their dimensions: packed tokens [B, T, C] of images, [C, f, h, w] of a video.</param>
public sealed record UndecodedLatents(float[] Values, IReadOnlyList<int> Shape)
{
    /// <summary>Runs a decoder; the failure it ends with carries the latents.</summary>
    /// <exception cref="DiCacheException">
    /// The decoder failed, or there was not enough memory for it (a <see cref="Backends.BackendException"/>).
    /// </exception>
    internal T Guard<T>(Func<T> decode)
    {
        try
        {
            return decode();
        }
        catch (DiCacheException e)
        {
            e.Latents = this;
            throw;
        }
        catch (OutOfMemoryException e)
        {
            const string sentence = "there was not enough memory to decode the latents: lower the size or the batch";
            throw new Backends.BackendException(sentence, e) { Latents = this };
        }
    }
}
