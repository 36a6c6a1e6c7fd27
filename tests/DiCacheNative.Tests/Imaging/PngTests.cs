using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Imaging;

public class PngTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 3)]
    [InlineData(128, 65)]
    public void Pixels_survive_a_round_trip(int width, int height)
    {
        foreach (Func<int, int, int, int> paint in new Func<int, int, int, int>[]
        {
            (x, y, c) => (x * 3) + y + c, // gradients: left and mean filters
            (x, y, c) => (x * x) + (y * y * c), // curves: Paeth
            (x, y, c) => (x / 8 % 2) * 255, // columns: the row above
            (x, y, c) => (int)((((x * 7919) + (y * 104729) + c) * 2654435761L) >> 13), // noise: none
        })
        {
            var image = new Image(width, height, [.. Enumerable.Range(0, 3 * width * height).Select(i => (byte)paint(i / 3 % width, i / 3 / width, i % 3))]);

            Image back = Decode(Encode(image));

            Assert.Equal((width, height), (back.Width, back.Height));
            Assert.Equal(image.Pixels, back.Pixels);
        }
    }

    [Fact]
    public void Files_of_another_writer_are_read()
    {
        using FileStream file = File.OpenRead(Repository.File("tests", "golden", "shapes-flux", "0.png"));

        Image image = PngDecoder.Decode(file);

        Assert.Equal((128, 128), (image.Width, image.Height));

        // A red circle on the left, a blue square on the right, on a light ground.
        Assert.True(Pixel(image, 36, 64) is ( > 200, < 90, < 90), Pixel(image, 36, 64).ToString());
        Assert.True(Pixel(image, 96, 64) is ( < 90, < 130, > 180), Pixel(image, 96, 64).ToString());
        Assert.True(Pixel(image, 2, 2) is ( > 200, > 200, > 200), Pixel(image, 2, 2).ToString());
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(4, 2)]
    [InlineData(2, 3)]
    [InlineData(6, 4)]
    public void Every_filter_is_undone_in_every_kind_of_picture(byte colourType, int channels)
    {
        // Row y uses filter y. Two pixels a row; every sample is row * 10 + place, so the differences are known by hand:
        // none: the samples; left: first pixel, then +channels; above: all +10; mean and Paeth are computed below.
        const int Width = 2;
        byte[][] rows = [.. Enumerable.Range(0, 5).Select(y => Enumerable.Range(0, Width * channels).Select(i => (byte)((y * 10) + i)).ToArray())];
        using var raw = new MemoryStream();
        for (int y = 0; y < 5; y++)
        {
            raw.WriteByte((byte)y);
            for (int i = 0; i < Width * channels; i++)
            {
                int left = i < channels ? 0 : rows[y][i - channels];
                int above = y == 0 ? 0 : rows[y - 1][i];
                int upperLeft = y == 0 || i < channels ? 0 : rows[y - 1][i - channels];

                // left + above - upperLeft is the sample itself minus 0 inside; its nearest neighbour is the larger of left and above here.
                int predicted = y switch { 0 => 0, 1 => left, 2 => above, 3 => (left + above) / 2, _ => i < channels ? above : Math.Max(left, above) };
                raw.WriteByte((byte)(rows[y][i] - predicted));
            }
        }

        Image image = Decode(Png(Header(Width, 5, 8, colourType, 0), raw.ToArray()));

        byte[] expected = [.. rows.SelectMany(r => Enumerable.Range(0, Width).SelectMany(x => Enumerable.Range(0, 3).Select(c => r[(x * channels) + (channels >= 3 ? c : 0)])))];
        Assert.Equal(expected, image.Pixels);
    }

    [Fact]
    public void Texts_keep_every_character()
    {
        KeyValuePair<string, string>[] texts =
        [
            new("parameters", "a red circle\nSteps: 30, Seed: 42"),
            new("Prix", "5 £ für ½"),
            new("prompt", "赤い丸 🔴 – “quoted”"),
            new("empty", ""),
        ];
        byte[] file = Encode(new Image(1, 1, new byte[3]), texts);

        PngDecoder.Decode(new MemoryStream(file), out IReadOnlyList<KeyValuePair<string, string>> back);

        Assert.Equal(texts, back);
        string latin = Encoding.Latin1.GetString(file);
        Assert.Contains("tEXtPrix\0", latin, StringComparison.Ordinal);
        Assert.Contains("iTXtprompt\0", latin, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "x")]
    [InlineData(" key", "x")]
    [InlineData("a  b", "x")]
    [InlineData("鍵", "x")]
    [InlineData("key", "a\0b")]
    public void Texts_that_png_cannot_hold_are_refused(string key, string value) =>
        Assert.Throws<ArgumentException>(() => Encode(new Image(1, 1, new byte[3]), [new(key, value)]));

    [Fact]
    public void The_checksum_is_the_published_one() => Assert.Equal(0xCBF43926u, PngFormat.Crc(0, "123456789"u8));

    [Fact]
    public void Any_changed_or_missing_byte_is_noticed()
    {
        byte[] file = Encode(new Image(5, 4, [.. Enumerable.Range(0, 60).Select(i => (byte)(i * i))]), [new("k", "v")]);
        for (int i = 0; i < file.Length; i++)
        {
            byte[] broken = [.. file];
            broken[i] ^= 0x20;
            Assert.Throws<InvalidDataException>(() => Decode(broken));
            Assert.Throws<InvalidDataException>(() => Decode(file[..i]));
        }
    }

    [Theory]
    [InlineData(0, 5, 8, 2, 0, "empty or larger")]
    [InlineData(70000, 70000, 8, 2, 0, "empty or larger")]
    [InlineData(5, 5, 16, 2, 0, "16 bits")]
    [InlineData(5, 5, 8, 3, 0, "colour type 3")]
    [InlineData(5, 5, 8, 2, 1, "interlace 1")]
    [InlineData(5, 5, 8, 2, 0, "fewer rows")]
    public void Headers_that_cannot_be_served_are_told(int width, int height, byte bits, byte colourType, byte interlace, string told)
    {
        var e = Assert.Throws<InvalidDataException>(() => Decode(Png(Header(width, height, bits, colourType, interlace), new byte[16])));

        Assert.Contains(told, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_length_that_lies_costs_no_memory()
    {
        byte[] file = [.. PngFormat.Signature, 0x7F, 0xFF, 0xFF, 0xFF, .. "IHDR"u8];
        using var source = new GZipStream(new MemoryStream(Compress(file)), CompressionMode.Decompress); // a stream that cannot seek
        long before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Throws<InvalidDataException>(() => PngDecoder.Decode(source));

        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
    }

    private static (byte R, byte G, byte B) Pixel(Image image, int x, int y)
    {
        int p = 3 * ((y * image.Width) + x);
        return (image.Pixels[p], image.Pixels[p + 1], image.Pixels[p + 2]);
    }

    private static byte[] Encode(Image image, IReadOnlyList<KeyValuePair<string, string>>? text = null)
    {
        using var stream = new MemoryStream();
        new PngEncoder().Encode(image, stream, text);
        return stream.ToArray();
    }

    private static Image Decode(byte[] file) => PngDecoder.Decode(new MemoryStream(file));

    private static byte[] Header(int width, int height, byte bits, byte colourType, byte interlace)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = (bits, colourType, interlace);
        return header;
    }

    private static byte[] Png(byte[] header, byte[] rows)
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            zlib.Write(rows);
        }

        return [.. PngFormat.Signature, .. Chunk("IHDR", header), .. Chunk("IDAT", packed.ToArray()), .. Chunk("IEND", [])];
    }

    private static byte[] Chunk(string type, byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
        byte[] length = new byte[4];
        byte[] crc = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(crc, PngFormat.Crc(0, body));
        return [.. length, .. body, .. crc];
    }

    private static byte[] Compress(byte[] data)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(data);
        }

        return packed.ToArray();
    }
}
