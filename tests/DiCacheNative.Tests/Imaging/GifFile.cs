namespace DiCacheNative.Tests.Imaging;

/// <summary>Reads as much of a GIF as tests need.</summary>
internal static class GifFile
{
    /// <summary>Size, number of frames, and their display times together, in hundredths of a second.</summary>
    public static (int Width, int Height, int Frames, int Duration) Read(string path)
    {
        byte[] bytes = File.ReadAllBytes(path);
        Assert.Equal("GIF89a"u8.ToArray(), bytes[..6]);
        int Word(int offset) => bytes[offset] | (bytes[offset + 1] << 8);
        int Table(int flags) => (flags & 0x80) != 0 ? 3 << ((flags & 7) + 1) : 0;
        int at = 13 + Table(bytes[10]), frames = 0, duration = 0;
        while (bytes[at] != 0x3B)
        {
            if (bytes[at] == 0x2C)
            {
                frames++;
                at += 10 + Table(bytes[at + 9]) + 1;
            }
            else
            {
                Assert.Equal(0x21, bytes[at]);
                duration += bytes[at + 1] == 0xF9 ? Word(at + 4) : 0;
                at += 2;
            }

            for (; bytes[at] != 0; at += bytes[at] + 1)
            {
            }

            at++;
        }

        Assert.Equal(bytes.Length, at + 1);
        return (Word(6), Word(8), frames, duration);
    }
}
