namespace DiCacheNative.Imaging;

/// <summary>What reader and writer of PNG files share (ISO/IEC 15948).</summary>
internal static class PngFormat
{
    private static readonly uint[] CrcTable = MakeCrcTable();

    public static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Continues a CRC-32; begin with 0.</summary>
    public static uint Crc(uint crc, ReadOnlySpan<byte> data)
    {
        crc = ~crc;
        foreach (byte b in data)
        {
            crc = CrcTable[(byte)(crc ^ b)] ^ (crc >> 8);
        }

        return ~crc;
    }

    /// <summary>The neighbour (left, above, upper left) that is nearest to left + above - upper left.</summary>
    public static int Paeth(int left, int above, int upperLeft)
    {
        int toLeft = Math.Abs(above - upperLeft);
        int toAbove = Math.Abs(left - upperLeft);
        int toUpperLeft = Math.Abs(left + above - (2 * upperLeft));
        return toLeft <= toAbove && toLeft <= toUpperLeft ? left : toAbove <= toUpperLeft ? above : upperLeft;
    }

    private static uint[] MakeCrcTable()
    {
        uint[] table = new uint[256];
        for (uint n = 0; n < 256; n++)
        {
            uint c = n;
            for (int bit = 0; bit < 8; bit++)
            {
                c = (c & 1) != 0 ? 0xEDB88320 ^ (c >> 1) : c >> 1;
            }

            table[n] = c;
        }

        return table;
    }
}
