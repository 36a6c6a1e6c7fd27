using System.Buffers.Binary;
using SixLabors.ImageSharp.Formats;
using SixLabors.ImageSharp.Formats.Bmp;
using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.Formats.Png;
using SixLabors.ImageSharp.Formats.Webp;
using SixLabors.ImageSharp.Memory;
using SixLabors.ImageSharp.Metadata;
using SixLabors.ImageSharp.Metadata.Profiles.Exif;
using SixLabors.ImageSharp.PixelFormats;
using Sharp = SixLabors.ImageSharp;

namespace DiCacheNative.Imaging;

/// <summary>Pictures to and from the formats of ImageSharp.</summary>
internal static class PictureCodec
{
    private const int LargestBlock = 256; // MiB: one buffer of MaxPixels takes 128 at 4 bytes a pixel

    /// <summary>
    /// The formats that are read, and no others. Each call works on its own thread alone: ImageSharp's results would
    /// otherwise depend on how rows are shared out. Metadata of files that are read is skipped, for it may unpack to any size. BMP is written
    /// alone: its decoder takes as much of the stack as a broken file makes it, and a stack that overflows ends the process.
    /// </summary>
    public static Sharp.Configuration Configuration { get; } = Configure();

    public static void Encode(Image image, Stream destination, ImageFormat format, IReadOnlyList<KeyValuePair<string, string>> text)
    {
        using Sharp.Image<Rgb24> picture = Sharp.Image.LoadPixelData<Rgb24>(Configuration, image.Pixels, image.Width, image.Height);
        IImageEncoder encoder;
        switch (format)
        {
            case ImageFormat.Png:
                AddTexts(picture.Metadata.GetFormatMetadata(PngFormat.Instance), text);
                encoder = new PngEncoder
                {
                    ColorType = PngColorType.Rgb,
                    BitDepth = PngBitDepth.Bit8,
                    FilterMethod = PngFilterMethod.Adaptive,
                    TextCompressionThreshold = int.MaxValue, // readers of the prompt look for plain tEXt and iTXt
                    ChunkFilter = PngChunkFilter.ExcludePhysicalChunk,
                };
                break;
            case ImageFormat.Jpeg:
                AddComment(picture.Metadata, text);
                encoder = new JpegEncoder { Quality = 95, ColorType = JpegColorType.YCbCrRatio444 };
                break;
            case ImageFormat.Webp:
                AddComment(picture.Metadata, text);
                encoder = new WebpEncoder { FileFormat = WebpFileFormatType.Lossy, Quality = 95 };
                break;
            case ImageFormat.Bmp:
                encoder = new BmpEncoder { BitsPerPixel = BmpBitsPerPixel.Pixel24 };
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(format));
        }

        picture.Save(destination, encoder);
    }

    /// <exception cref="ImageFileException">The content is no picture, is broken or cut off, or is too large.</exception>
    public static Image Decode(Stream source)
    {
        byte[] file = ReadAll(source);
        try
        {
            using MemoryStream stream = new(file, writable: false);
            IImageFormat? format = Sharp.Image.DetectFormat(Configuration, stream);
            Sharp.IImageInfo? info = format is null ? null : Sharp.Image.Identify(Configuration, stream);
            if (info is null)
            {
                string bmp = file.AsSpan().StartsWith("BM"u8) ? ", but a BMP, which is written and not read" : string.Empty;
                throw new ImageFileException($"this is no PNG, JPEG, WebP or GIF file{bmp}");
            }

            CheckSize(info, format!, file);
            stream.Position = 0;
            using Sharp.Image<Rgb24> picture = Sharp.Image.Load<Rgb24>(Configuration, stream);
            byte[] pixels = new byte[3 * picture.Width * picture.Height];
            picture.CopyPixelDataTo(pixels);
            return new Image(picture.Width, picture.Height, pixels);
        }
        catch (Exception e) when (e is not ImageFileException and not OutOfMemoryException)
        {
            // Whatever a decoder stumbles over: the bytes are in memory, so the file's content is all that can be wrong.
            throw new ImageFileException($"the picture is broken: {e.Message}", e);
        }
    }

    private static Sharp.Configuration Configure()
    {
        Sharp.Configuration configuration = new(
            new PngConfigurationModule(), new JpegConfigurationModule(), new WebpConfigurationModule(), new GifConfigurationModule())
        {
            MaxDegreeOfParallelism = 1,
            MemoryAllocator = MemoryAllocator.Create(
                new MemoryAllocatorOptions { AllocationLimitMegabytes = LargestBlock, MaximumPoolSizeMegabytes = 64 }),
        };
        ImageFormatManager formats = configuration.ImageFormatsManager;
        formats.SetDecoder(PngFormat.Instance, new PngDecoder { IgnoreMetadata = true });
        formats.SetDecoder(JpegFormat.Instance, new JpegDecoder { IgnoreMetadata = true });
        formats.SetDecoder(WebpFormat.Instance, new WebpDecoder { IgnoreMetadata = true });
        formats.SetDecoder(GifFormat.Instance, new GifDecoder { IgnoreMetadata = true, DecodingMode = FrameDecodingMode.First });
        return configuration;
    }

    private static byte[] ReadAll(Stream source)
    {
        using MemoryStream file = new();
        byte[] block = new byte[1 << 16];
        for (int read; (read = source.Read(block)) > 0;)
        {
            if (file.Length + read > ImageFile.MaxBytes)
            {
                throw new ImageFileException($"the file is larger than {ImageFile.MaxBytes:N0} bytes: no picture of that size is read");
            }

            file.Write(block, 0, read);
        }

        return file.ToArray();
    }

    private static void CheckSize(Sharp.IImageInfo info, IImageFormat format, ReadOnlySpan<byte> file)
    {
        long pixels = (long)info.Width * info.Height;
        if (info.Width < 1 || info.Height < 1 || pixels > ImageFile.MaxPixels)
        {
            throw new ImageFileException(
                $"a picture of {info.Width} x {info.Height} pixels is empty or larger than {ImageFile.MaxPixels:N0} pixels");
        }

        // Deflate packs at most 1032 bytes into one, and a pixel has at least one bit: a short file that claims a large picture costs no
        // memory.
        if (format is PngFormat && pixels / 8 / 1032 > file.Length)
        {
            throw new ImageFileException($"{file.Length:N0} bytes cannot hold a picture of {info.Width} x {info.Height} pixels");
        }

        if (!IsWhole(format, file))
        {
            throw new ImageFileException("the file is cut off");
        }
    }

    // The decoders fill up what is missing, with grey or with what was in the buffer before, and say nothing.
    private static bool IsWhole(IImageFormat format, ReadOnlySpan<byte> file) => format switch
    {
        PngFormat => PngHasEnd(file),
        // the end after the last start of a scan
        JpegFormat => file.LastIndexOf((ReadOnlySpan<byte>)[0xFF, 0xD9]) > file.LastIndexOf((ReadOnlySpan<byte>)[0xFF, 0xDA]),
        WebpFormat => BinaryPrimitives.ReadUInt32LittleEndian(file[4..]) <= file.Length - 8,
        _ => file.TrimEnd((byte)0).EndsWith((byte)0x3B),
    };

    private static bool PngHasEnd(ReadOnlySpan<byte> file)
    {
        long at = 8;
        while (at + 12 <= file.Length)
        {
            ReadOnlySpan<byte> chunk = file[(int)at..];
            at += 12L + BinaryPrimitives.ReadUInt32BigEndian(chunk);
            if (chunk.Slice(4, 4).SequenceEqual("IEND"u8))
            {
                return at <= file.Length;
            }
        }

        return false;
    }

    private static void AddTexts(PngMetadata metadata, IReadOnlyList<KeyValuePair<string, string>> text)
    {
        foreach ((string key, string value) in text)
        {
            if (key is null or { Length: 0 or > 79 } || !key.All(c => c is (>= ' ' and <= '~') or (>= '\u00A1' and <= '\u00FF'))
                || key[0] == ' ' || key[^1] == ' ' || key.Contains("  ", StringComparison.Ordinal))
            {
                throw new ArgumentException(
                    $"'{key}' cannot be a PNG text key: 1 to 79 Latin-1 characters without outer or double spaces", nameof(text));
            }

            if (value is null || value.Contains('\0', StringComparison.Ordinal))
            {
                throw new ArgumentException($"the PNG text '{key}' is null or holds a zero character", nameof(text));
            }

            metadata.TextData.Add(new PngTextData(key, value, string.Empty, string.Empty));
        }
    }

    private static void AddComment(ImageMetadata metadata, IReadOnlyList<KeyValuePair<string, string>> text)
    {
        if (text.Count > 0)
        {
            metadata.ExifProfile = new ExifProfile();
            metadata.ExifProfile.SetValue(ExifTag.UserComment, new EncodedString(string.Join('\n', text.Select(t => t.Value))));
        }
    }
}
