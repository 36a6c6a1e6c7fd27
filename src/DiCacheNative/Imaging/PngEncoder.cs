using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;

namespace DiCacheNative.Imaging;

/// <summary>Writes PNG: 8-bit RGB, each row with the filter that suits it, texts as tEXt (Latin-1) or iTXt (anything else).</summary>
/// <remarks>The same picture and texts give the same bytes.</remarks>
public sealed class PngEncoder : IImageEncoder
{
    private const int Channels = 3;

    /// <inheritdoc/>
    public string Extension => ".png";

    /// <inheritdoc/>
    public void Encode(Image image, Stream destination, IReadOnlyList<KeyValuePair<string, string>>? text = null)
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(destination);
        (string Type, byte[] Data)[] texts = [.. (text ?? []).Select(pair => TextChunk(pair.Key, pair.Value))];

        destination.Write(PngFormat.Signature);
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), image.Height);
        header[8] = 8; // bits per sample
        header[9] = 2; // RGB
        WriteChunk(destination, "IHDR", header);
        foreach ((string type, byte[] data) in texts)
        {
            WriteChunk(destination, type, data);
        }

        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
        {
            WriteRows(image, zlib);
        }

        WriteChunk(destination, "IDAT", compressed.GetBuffer().AsSpan(0, (int)compressed.Length));
        WriteChunk(destination, "IEND", []);
    }

    private static void WriteRows(Image image, Stream zlib)
    {
        int stride = image.Width * Channels;
        byte[] above = new byte[stride];
        byte[][] candidates = [.. Enumerable.Range(0, 5).Select(filter => new byte[1 + stride])];
        for (int y = 0; y < image.Height; y++)
        {
            ReadOnlySpan<byte> row = image.Pixels.AsSpan(y * stride, stride);
            Filter(row, above, candidates);
            byte[] best = candidates.MinBy(SumOfDifferences)!;
            zlib.Write(best);
            row.CopyTo(above);
        }
    }

    // The five filters of the standard: none, left, above, their mean, Paeth.
    private static void Filter(ReadOnlySpan<byte> row, ReadOnlySpan<byte> above, byte[][] results)
    {
        for (byte filter = 0; filter < results.Length; filter++)
        {
            results[filter][0] = filter;
        }

        for (int i = 0; i < row.Length; i++)
        {
            int left = i < Channels ? 0 : row[i - Channels];
            int upperLeft = i < Channels ? 0 : above[i - Channels];
            results[0][1 + i] = row[i];
            results[1][1 + i] = (byte)(row[i] - left);
            results[2][1 + i] = (byte)(row[i] - above[i]);
            results[3][1 + i] = (byte)(row[i] - ((left + above[i]) / 2));
            results[4][1 + i] = (byte)(row[i] - PngFormat.Paeth(left, above[i], upperLeft));
        }
    }

    // The usual guess at what will compress best: small differences, taken as signed bytes.
    private static long SumOfDifferences(byte[] filtered)
    {
        long sum = 0;
        foreach (byte b in filtered.AsSpan(1))
        {
            sum += Math.Abs((int)(sbyte)b);
        }

        return sum;
    }

    private static (string Type, byte[] Data) TextChunk(string key, string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (key is null or { Length: 0 or > 79 } || !key.All(c => c is (>= ' ' and <= '~') or (>= '\u00A1' and <= '\u00FF'))
            || key[0] == ' ' || key[^1] == ' ' || key.Contains("  ", StringComparison.Ordinal))
        {
            throw new ArgumentException($"'{key}' cannot be a PNG text key: 1 to 79 Latin-1 characters without outer or double spaces", nameof(key));
        }

        if (value.Contains('\0', StringComparison.Ordinal))
        {
            throw new ArgumentException($"the PNG text '{key}' holds a zero character", nameof(value));
        }

        byte[] keyword = Encoding.Latin1.GetBytes(key);
        return value.All(c => c is '\n' or (>= ' ' and <= '~') or (>= '\u00A0' and <= '\u00FF'))
            ? ("tEXt", [.. keyword, 0, .. Encoding.Latin1.GetBytes(value)])
            : ("iTXt", [.. keyword, 0, 0, 0, 0, 0, .. Encoding.UTF8.GetBytes(value)]); // not compressed, no language, no translated key
    }

    private static void WriteChunk(Stream destination, string type, ReadOnlySpan<byte> data)
    {
        Span<byte> word = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(word, data.Length);
        destination.Write(word);
        Encoding.ASCII.GetBytes(type, word);
        destination.Write(word);
        uint crc = PngFormat.Crc(PngFormat.Crc(0, word), data);
        destination.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(word, crc);
        destination.Write(word);
    }
}
