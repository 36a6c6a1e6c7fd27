using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace DiCacheNative.Imaging;

/// <summary>
/// Reads PNG: 8-bit grey or RGB, with or without alpha (which is dropped), not interlaced. Everything is checked: sizes, order of
/// chunks, checksums.
/// </summary>
public static class PngDecoder
{
    /// <summary>The most pixels a picture may have; more is taken for a broken or hostile file.</summary>
    public const int MaxPixels = 1 << 26;

    /// <summary>Reads a picture.</summary>
    /// <param name="source">A PNG file from its beginning.</param>
    /// <exception cref="InvalidDataException">The file is broken or of a kind that is not read; the message says which.</exception>
    public static Image Decode(Stream source) => Decode(source, out _);

    /// <summary>Reads a picture and its texts.</summary>
    /// <param name="source">A PNG file from its beginning.</param>
    /// <param name="text">Keys and texts of its tEXt and uncompressed iTXt chunks, in order.</param>
    /// <exception cref="InvalidDataException">The file is broken or of a kind that is not read; the message says which.</exception>
    public static Image Decode(Stream source, out IReadOnlyList<KeyValuePair<string, string>> text)
    {
        ArgumentNullException.ThrowIfNull(source);
        Span<byte> signature = stackalloc byte[8];
        if (source.ReadAtLeast(signature, 8, throwOnEndOfStream: false) < 8 || !signature.SequenceEqual(PngFormat.Signature))
        {
            throw new InvalidDataException("this is not a PNG file");
        }

        (int Width, int Height, int Channels)? header = null;
        var texts = new List<KeyValuePair<string, string>>();
        using var compressed = new MemoryStream();
        while (true)
        {
            (string type, byte[] data) = ReadChunk(source);
            if (header is null && type != "IHDR")
            {
                throw new InvalidDataException($"the PNG begins with {type} instead of IHDR");
            }

            switch (type)
            {
                case "IHDR" when header is null:
                    header = ReadHeader(data);
                    break;
                case "IDAT":
                    compressed.Write(data);
                    break;
                case "IEND":
                    compressed.Position = 0;
                    text = texts;
                    return ReadPixels(compressed, header!.Value.Width, header.Value.Height, header.Value.Channels);
                case "tEXt" or "iTXt" when ReadText(type, data) is { } pair:
                    texts.Add(pair);
                    break;
                case "PLTE": // a suggestion only, in the kinds that are read here
                    break;
                default:
                    if (char.IsAsciiLetterUpper(type[0]))
                    {
                        throw new InvalidDataException($"the PNG needs chunk {type}, which is not known or out of place");
                    }

                    break;
            }
        }
    }

    private static (string Type, byte[] Data) ReadChunk(Stream source)
    {
        Span<byte> word = stackalloc byte[8];
        ReadExactly(source, word);
        uint length = BinaryPrimitives.ReadUInt32BigEndian(word);
        string type = Encoding.ASCII.GetString(word[4..]);
        if (!type.All(char.IsAsciiLetter) || length > int.MaxValue || (source.CanSeek && length > source.Length - source.Position))
        {
            throw new InvalidDataException("the PNG is cut off or broken: a chunk header makes no sense");
        }

        uint crc = PngFormat.Crc(0, word[4..]);
        byte[] data = ReadData(source, (int)length);
        ReadExactly(source, word[..4]);
        return BinaryPrimitives.ReadUInt32BigEndian(word) == PngFormat.Crc(crc, data)
            ? (type, data)
            : throw new InvalidDataException($"the checksum of PNG chunk {type} is wrong: the file is damaged");
    }

    // In blocks, so that a length that lies costs no memory.
    private static byte[] ReadData(Stream source, int length)
    {
        using var data = new MemoryStream();
        byte[] block = new byte[Math.Min(length, 1 << 16)];
        for (int left = length; left > 0; left -= block.Length)
        {
            Span<byte> part = block.AsSpan(0, Math.Min(left, block.Length));
            ReadExactly(source, part);
            data.Write(part);
        }

        return data.ToArray();
    }

    private static (int Width, int Height, int Channels) ReadHeader(ReadOnlySpan<byte> data)
    {
        if (data.Length != 13)
        {
            throw new InvalidDataException($"the PNG header has {data.Length} bytes instead of 13");
        }

        uint width = BinaryPrimitives.ReadUInt32BigEndian(data);
        uint height = BinaryPrimitives.ReadUInt32BigEndian(data[4..]);
        if (width == 0 || height == 0 || (ulong)width * height > MaxPixels)
        {
            throw new InvalidDataException($"a PNG of {width} x {height} pixels is empty or larger than {MaxPixels:N0} pixels");
        }

        int channels = data[9] switch { 0 => 1, 2 => 3, 4 => 2, 6 => 4, _ => 0 };
        return data[8] == 8 && channels > 0 && data[10] == 0 && data[11] == 0 && data[12] == 0
            ? ((int)width, (int)height, channels)
            : throw new InvalidDataException(
                $"PNG of {data[8]} bits, colour type {data[9]}, interlace {data[12]}: only 8-bit grey or RGB without interlace is read");
    }

    private static Image ReadPixels(Stream compressed, int width, int height, int channels)
    {
        byte[] pixels = new byte[3 * width * height];
        byte[] above = new byte[width * channels];
        byte[] row = new byte[width * channels];
        using var zlib = new ZLibStream(compressed, CompressionMode.Decompress);
        for (int y = 0; y < height; y++)
        {
            int filter = Inflate(zlib, row);
            Unfilter(filter, row, above, channels);
            Span<byte> target = pixels.AsSpan(3 * width * y, 3 * width);
            for (int x = 0; x < width; x++)
            {
                int p = x * channels;
                (target[3 * x], target[(3 * x) + 1], target[(3 * x) + 2]) =
                    channels >= 3 ? (row[p], row[p + 1], row[p + 2]) : (row[p], row[p], row[p]);
            }

            (above, row) = (row, above);
        }

        return new Image(width, height, pixels);
    }

    private static int Inflate(ZLibStream zlib, byte[] row)
    {
        try
        {
            int filter = zlib.ReadByte();
            return filter >= 0 && zlib.ReadAtLeast(row, row.Length, throwOnEndOfStream: false) == row.Length
                ? filter
                : throw new InvalidDataException("the PNG holds fewer rows than its header says");
        }
        catch (Exception e) when (e is IOException or EndOfStreamException)
        {
            throw new InvalidDataException($"the PNG's pixels cannot be unpacked: {e.Message}", e);
        }
    }

    private static void Unfilter(int filter, byte[] row, byte[] above, int channels)
    {
        for (int i = 0; i < row.Length; i++)
        {
            int left = i < channels ? 0 : row[i - channels];
            row[i] += filter switch
            {
                0 => 0,
                1 => (byte)left,
                2 => above[i],
                3 => (byte)((left + above[i]) / 2),
                4 => (byte)PngFormat.Paeth(left, above[i], i < channels ? 0 : above[i - channels]),
                _ => throw new InvalidDataException($"a PNG row names filter {filter}, which does not exist"),
            };
        }
    }

    private static KeyValuePair<string, string>? ReadText(string type, ReadOnlySpan<byte> data)
    {
        int end = data.IndexOf((byte)0);
        if (end < 1)
        {
            return null;
        }

        string key = Encoding.Latin1.GetString(data[..end]);
        ReadOnlySpan<byte> rest = data[(end + 1)..];
        if (type == "tEXt")
        {
            return new(key, Encoding.Latin1.GetString(rest));
        }

        // Compression flag and method, language, translated key, text.
        if (rest.Length < 2 || rest[0] != 0)
        {
            return null;
        }

        rest = rest[2..];
        for (int skipped = 0; skipped < 2; skipped++)
        {
            int zero = rest.IndexOf((byte)0);
            if (zero < 0)
            {
                return null;
            }

            rest = rest[(zero + 1)..];
        }

        return new(key, Encoding.UTF8.GetString(rest));
    }

    private static void ReadExactly(Stream source, Span<byte> buffer)
    {
        if (source.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false) < buffer.Length)
        {
            throw new InvalidDataException("the PNG is cut off");
        }
    }
}
