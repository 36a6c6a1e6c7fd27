namespace DiCacheNative.Imaging;

/// <summary>Writes pictures in a file format.</summary>
public interface IImageEncoder
{
    /// <summary>The usual file name extension, with the dot.</summary>
    string Extension { get; }

    /// <summary>Writes a picture.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="destination">Where to; it stays open.</param>
    /// <param name="text">Keys and texts to store with the picture (prompt, seed, …), in order; null for none.</param>
    /// <exception cref="ArgumentException">The format cannot hold a key or a text.</exception>
    void Encode(Image image, Stream destination, IReadOnlyList<KeyValuePair<string, string>>? text = null);
}
