using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using DiCacheNative.Imaging;

namespace DiCacheNative.Tests.Imaging;

public sealed class ImageFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(1, 1, "a.png")]
    [InlineData(7, 3, "a.png")]
    [InlineData(128, 65, "a.PNG")]
    public void Pixels_survive_a_round_trip(int width, int height, string name)
    {
        foreach (Func<int, int, int, int> paint in new Func<int, int, int, int>[]
        {
            (x, y, c) => (x * 3) + y + c,
            (x, y, c) => (x * x) + (y * y * c),
            (x, y, c) => (x / 8 % 2) * 255,
            (x, y, c) => (int)((((x * 7919) + (y * 104729) + c) * 2654435761L) >> 13),
        })
        {
            Image image = Paint(width, height, paint);
            image.Save(_folder.File(name));
            Image back = ImageFile.Load(_folder.File(name));
            Assert.Equal((width, height), (back.Width, back.Height));
            Assert.Equal(image.Pixels, back.Pixels);
        }
    }

    [Theory]
    [InlineData("a.jpg", 40)]
    [InlineData("a.JPEG", 40)]
    [InlineData("a.webp", 35)]
    public void Lossy_formats_look_like_the_golden_picture(string name, double decibels)
    {
        Image golden = ImageFile.Load(Golden);
        golden.Save(_folder.File(name));
        Image back = ImageFile.Load(_folder.File(name));
        Assert.Equal((128, 128), (back.Width, back.Height));
        double error = golden.Pixels.Zip(back.Pixels, (a, b) => Math.Pow(a - b, 2)).Average(), psnr = 10 * Math.Log10(255 * 255 / error);
        Assert.True(psnr > decibels, $"{name} is at {psnr:0.0} dB");
    }

    [Theory]
    [InlineData(ImageFormat.Png, "\u0089PNG")]
    [InlineData(ImageFormat.Jpeg, "\u00ff\u00d8\u00ff")]
    [InlineData(ImageFormat.Webp, "RIFF")]
    [InlineData(ImageFormat.Bmp, "BM")]
    public void The_same_picture_gives_the_same_bytes_on_any_thread(ImageFormat format, string mark)
    {
        Image image = ImageFile.Load(Golden);
        byte[] first = Encode(image, format, [new("parameters", "a red circle")]);
        Assert.StartsWith(mark, Encoding.Latin1.GetString(first), StringComparison.Ordinal);
        byte[][] others = new byte[4][];
        Parallel.For(0, others.Length, i => others[i] = Encode(image, format, [new("parameters", "a red circle")]));
        Assert.All(others, other => Assert.Equal(first, other));
    }

    [Fact]
    public void Files_of_another_writer_are_read()
    {
        Image image = ImageFile.Load(Golden);
        Assert.Equal((128, 128), (image.Width, image.Height));

        // A red circle on the left, a blue square on the right, on a light ground.
        Assert.True(Pixel(image, 36, 64) is ( > 200, < 90, < 90), Pixel(image, 36, 64).ToString());
        Assert.True(Pixel(image, 96, 64) is ( < 90, < 130, > 180), Pixel(image, 96, 64).ToString());
        Assert.True(Pixel(image, 2, 2) is ( > 200, > 200, > 200), Pixel(image, 2, 2).ToString());
    }

    [Fact]
    public void Unknown_extensions_are_refused_with_the_list_and_nothing_is_written()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => new Image(1, 1, new byte[3]).Save(_folder.File("a.tiff")));
        Assert.Contains(".png, .jpg, .jpeg, .webp, .bmp", e.Message, StringComparison.Ordinal);
        Assert.Contains("\".tiff\"", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_picture_that_a_format_cannot_hold_is_refused()
    {
        ArgumentException e = Assert.Throws<ArgumentException>(() => new Image(16384, 1, new byte[3 * 16384]).Save(_folder.File("a.webp")));
        Assert.Contains("up to 16383 x 16383", e.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void Png_texts_keep_every_character_and_are_not_compressed()
    {
        string prompt = string.Concat(Enumerable.Repeat("a red circle, ", 500));
        byte[] file = Encode(
            new Image(1, 1, new byte[3]), ImageFormat.Png,
                [new("parameters", prompt + "\nSteps: 30, Seed: 42"), new("Prix", "5 £ für ½"), new("prompt", "赤い丸 🔴 – “quoted”"),
                new("empty", "")]);
        string latin = Encoding.Latin1.GetString(file), utf8 = Encoding.UTF8.GetString(file);
        Assert.Contains($"tEXtparameters\0{prompt}\nSteps: 30, Seed: 42", latin, StringComparison.Ordinal);
        Assert.Contains("tEXtPrix\05 £ für ½", latin, StringComparison.Ordinal);
        Assert.Contains("iTXtprompt\0\0\0\0\0赤い丸 🔴 – “quoted”", utf8, StringComparison.Ordinal);
        Assert.Contains("tEXtempty\0", latin, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ImageFormat.Jpeg)]
    [InlineData(ImageFormat.Webp)]
    public void Other_formats_keep_the_texts_as_an_exif_comment(ImageFormat format)
    {
        string prompt = new('é', 70_000); // longer than one segment of a JPEG
        byte[] file = Encode(ImageFile.Load(Golden), format, [new("Software", "x"), new("parameters", prompt)]);
        using SixLabors.ImageSharp.Image image = SixLabors.ImageSharp.Image.Load(file);
        Assert.Equal($"x\n{prompt}",
            image.Metadata.ExifProfile.GetValue(SixLabors.ImageSharp.Metadata.Profiles.Exif.ExifTag.UserComment).Value.Text);
    }

    [Theory]
    [InlineData("", "x")]
    [InlineData(" key", "x")]
    [InlineData("a  b", "x")]
    [InlineData("鍵", "x")]
    [InlineData("key", "a\0b")]
    public void Texts_that_png_cannot_hold_are_refused(string key, string value) =>
        Assert.Throws<ArgumentException>(() => Encode(new Image(1, 1, new byte[3]), ImageFormat.Png, [new(key, value)]));

    [Fact]
    public void No_changed_byte_of_a_png_gives_other_pixels()
    {
        Image image = Paint(5, 4, (x, y, c) => (x * x) + (y * c));
        byte[] file = Encode(image, ImageFormat.Png, [new("k", "v")]);
        for (int i = 0; i < file.Length; i++)
        {
            byte[] broken = [.. file];
            broken[i] ^= 0x20;
            try
            {
                Assert.Equal(image.Pixels, Read(broken).Pixels); // the text was hit
            }
            catch (ImageFileException)
            {
            }
        }
    }

    [Theory]
    [InlineData(ImageFormat.Png)]
    [InlineData(ImageFormat.Jpeg)]
    [InlineData(ImageFormat.Webp)]
    [InlineData(null)]
    public void A_file_that_is_cut_off_anywhere_is_refused(ImageFormat? format)
    {
        Image image = Paint(9, 7, (x, y, c) => (x * 20) + (y * c));
        byte[] file = format is { } known ? Encode(image, known) : Gif(image);
        for (int length = 0; length < file.Length; length++)
        {
            Assert.Throws<ImageFileException>(() => Read(file[..length]));
        }
    }

    [Theory]
    [InlineData(ImageFormat.Png)]
    [InlineData(ImageFormat.Jpeg)]
    [InlineData(ImageFormat.Webp)]
    [InlineData(null)]
    public void A_damaged_file_gives_a_picture_or_one_kind_of_exception(ImageFormat? format)
    {
        Image image = Paint(9, 7, (x, y, c) => (x * 20) + (y * c));
        byte[] file = format is { } known ? Encode(image, known, [new("parameters", "a prompt")]) : Gif(image);
        Random random = new(5);
        for (int round = 0; round < 2000; round++)
        {
            byte[] broken = [.. file];
            for (int hits = random.Next(1, 5); hits > 0; hits--)
            {
                broken[random.Next(broken.Length)] = (byte)random.Next(256);
            }

            try
            {
                _ = Read(broken);
            }
            catch (ImageFileException)
            {
            }
        }
    }

    [Theory]
    [InlineData(1 << 26, 1)]
    [InlineData(1, 1 << 26)]
    [InlineData(70000, 70000)]
    [InlineData(int.MaxValue, int.MaxValue)]
    [InlineData(5000, 5000)]
    public void A_small_file_that_claims_a_large_picture_costs_no_memory(int width, int height)
    {
        byte[] file = Png(Header(width, height, 8, 6, 0), new byte[16]);
        Assert.Throws<ImageFileException>(() => Read(file)); // the first call allocates what all need
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<ImageFileException>(() => Read(file));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20,
            $"{GC.GetAllocatedBytesForCurrentThread() - before:N0} bytes");
    }

    [Fact]
    public void Text_that_unpacks_to_any_size_is_not_unpacked()
    {
        using MemoryStream packed = new();
        using (ZLibStream zlib = new(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            zlib.Write(new byte[1 << 25]);
        }

        byte[] file = Png(Header(1, 1, 8, 2, 0), new byte[4], Chunk("zTXt", [.. "k\0\0"u8, .. packed.ToArray()]));
        _ = Read(file);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(new byte[3], Read(file).Pixels);
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20,
            $"{GC.GetAllocatedBytesForCurrentThread() - before:N0} bytes");
    }

    [Fact]
    public void What_is_no_picture_is_told()
    {
        File.WriteAllText(_folder.File("a.png"), "a web page, perhaps");
        ImageFileException e = Assert.Throws<ImageFileException>(() => ImageFile.Load(_folder.File("a.png")));
        Assert.Equal($"{_folder.File("a.png")}: this is no PNG, JPEG, WebP or GIF file", e.Message);
        Assert.Throws<IOException>(() => ImageFile.Load(_folder.File("none.png")));
    }

    [Fact]
    public void A_BMP_holds_the_pixels_from_the_last_row_up_and_is_not_read()
    {
        Image image = Paint(4, 3, (x, y, c) => (x * 20) + (y * 7) + c);
        byte[] file = Encode(image, ImageFormat.Bmp);
        int start = BitConverter.ToInt32(file, 10);
        for (int y = 0; y < 3; y++)
        {
            for (int x = 0; x < 4; x++)
            {
                ReadOnlySpan<byte> stored = file.AsSpan(start + (12 * (2 - y)) + (3 * x), 3);
                Assert.Equal(Pixel(image, x, y), (stored[2], stored[1], stored[0]));
            }
        }

        Assert.Contains("a BMP, which is written and not read", Assert.Throws<ImageFileException>(() => Read(file)).Message, StringComparison.Ordinal);
    }

    private static string Golden => Repository.File("tests", "golden", "shapes-flux", "0.png");

    private static Image Paint(int width, int height, Func<int, int, int, int> paint) =>
        new(width, height, [.. Enumerable.Range(0, 3 * width * height).Select(i => (byte)paint(i / 3 % width, i / 3 / width, i % 3))]);

    private static (byte R, byte G, byte B) Pixel(Image image, int x, int y)
    {
        int p = 3 * ((y * image.Width) + x);
        return (image.Pixels[p], image.Pixels[p + 1], image.Pixels[p + 2]);
    }

    private static byte[] Encode(Image image, ImageFormat format, IReadOnlyList<KeyValuePair<string, string>>? text = null)
    {
        using MemoryStream stream = new();
        image.Encode(stream, format, text);
        return stream.ToArray();
    }

    private byte[] Gif(Image image)
    {
        new GifVideoEncoder().EncodeAsync([image], 10, _folder.File("a.gif")).GetAwaiter().GetResult();
        return File.ReadAllBytes(_folder.File("a.gif"));
    }

    private static Image Read(byte[] file)
    {
        using MemoryStream stream = new(file);
        return ImageFile.Read(stream);
    }

    private static byte[] Header(int width, int height, byte bits, byte colourType, byte interlace)
    {
        byte[] header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9], header[12]) = (bits, colourType, interlace);
        return header;
    }

    private static byte[] Png(byte[] header, byte[] rows, byte[]? more = null)
    {
        using MemoryStream packed = new();
        using (ZLibStream zlib = new(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            zlib.Write(rows);
        }

        return [0x89, .. "PNG\r\n\u001a\n"u8, .. Chunk("IHDR", header),
            .. more ?? [], .. Chunk("IDAT", packed.ToArray()), .. Chunk("IEND", [])];
    }

    private static byte[] Chunk(string type, byte[] data)
    {
        byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
        byte[] length = new byte[4], crc = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(length, data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(crc, Crc32.Append(0, body));
        return [.. length, .. body, .. crc];
    }
}
