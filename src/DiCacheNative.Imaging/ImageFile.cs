namespace DiCacheNative.Imaging;

/// <summary>Writes pictures to files and reads them.</summary>
/// <remarks>The same picture, format and texts give the same bytes.</remarks>
public static class ImageFile
{
    private static readonly (string Extension, ImageFormat Format)[] s_extensions =
    [
        (".png", ImageFormat.Png), (".jpg", ImageFormat.Jpeg), (".jpeg", ImageFormat.Jpeg), (".webp", ImageFormat.Webp),
        (".bmp", ImageFormat.Bmp),
    ];

    /// <summary>The extensions that are written, with the dot.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [.. s_extensions.Select(e => e.Extension)];

    /// <summary>The format that the extension of a file name stands for.</summary>
    /// <param name="path">The file; upper and lower case are the same.</param>
    /// <exception cref="ArgumentException">The extension stands for none.</exception>
    public static ImageFormat FormatOf(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        string extension = Path.GetExtension(path);
        foreach ((string known, ImageFormat format) in s_extensions)
        {
            if (known.Equals(extension, StringComparison.OrdinalIgnoreCase))
            {
                return format;
            }
        }

        throw new ArgumentException($"pictures are written as {string.Join(", ", Extensions)}, not as \"{extension}\" ({path})");
    }

    /// <summary>Writes a picture to a file in the format of its extension; readers see all of it or what was there before.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="text">Keys and texts to store with the picture (prompt, seed, …), in order; null for none.</param>
    /// <exception cref="ArgumentException">
    /// The extension stands for no format, or the format cannot hold the picture, a key or a text.
    /// </exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Save(this Image image, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        ImageFormat format = FormatOf(path);
        AtomicFile.Write(path, stream => image.Encode(stream, format, text));
    }

    /// <summary>Writes a picture to a stream.</summary>
    /// <param name="image">The picture.</param>
    /// <param name="destination">Where to; it stays open.</param>
    /// <param name="format">The format.</param>
    /// <param name="text">Keys and texts to store with the picture (prompt, seed, …), in order; null for none.</param>
    /// <exception cref="ArgumentException">The format cannot hold the picture, a key or a text.</exception>
    public static void Encode(
        this Image image, Stream destination, ImageFormat format, IReadOnlyList<KeyValuePair<string, string>>? text = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(destination);
        CheckSize(format, image.Width, image.Height);
        PictureCodec.Encode(image, destination, format, text ?? []);
    }

    /// <summary>Reads a picture: PNG, JPEG, WebP, or the first one of a GIF. Transparency is dropped.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ImageFileException">The file is no picture, is broken, or is too large.</exception>
    /// <exception cref="IOException">The file is missing or cannot be read, or is a pipe or a device.</exception>
    public static Image Load(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (InputFile.ProblemOf(path) is { } problem)
        {
            throw new IOException($"{path}: {problem}");
        }

        using FileStream stream = File.OpenRead(path);
        try
        {
            return Read(stream);
        }
        catch (ImageFileException e)
        {
            throw new ImageFileException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>Reads a picture: PNG, JPEG, WebP, or the first one of a GIF. Transparency is dropped.</summary>
    /// <param name="source">The file, to its end.</param>
    /// <exception cref="ImageFileException">
    /// The content is no picture, is broken or cut off, or is too large: more than <see cref="MaxPixels"/> pixels,
    /// or <see cref="MaxBytes"/> bytes.
    /// </exception>
    public static Image Read(Stream source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return PictureCodec.Decode(source);
    }

    /// <summary>The most pixels of a picture that is read.</summary>
    public const int MaxPixels = 1 << 25;

    /// <summary>The most bytes of a file that is read.</summary>
    public const int MaxBytes = 1 << 28;

    /// <exception cref="ArgumentException">The format holds no pictures of this size.</exception>
    internal static void CheckSize(ImageFormat format, int width, int height)
    {
        (int largest, string name) = format switch
        {
            ImageFormat.Webp => (16383, "WebP"),
            ImageFormat.Jpeg => (65535, "JPEG"),
            _ => (int.MaxValue, string.Empty),
        };
        if (width > largest || height > largest)
        {
            throw new ArgumentException(
                $"{name} holds pictures of up to {largest} x {largest} pixels, not {width} x {height}: write a .png");
        }
    }
}
