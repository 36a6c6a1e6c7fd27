using System.Text;

namespace DiCacheNative.Text.Cleaning;

/// <summary>
/// An encoding of one byte for each character in which text was decoded by mistake, read backwards: from characters to bytes. Bytes that mean nothing stand
/// for the character of the same number, and U+FFFD for a byte that was lost (1A).
/// </summary>
internal sealed class SloppyEncoding
{
    /// <summary>The byte that stands for a lost one.</summary>
    public const byte Lost = 0x1A;

    private static readonly Lazy<SloppyEncoding[]> s_all = new(() =>
    {
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        return [.. new[] { 28591, 1252, 1251, 1250, 1253, 1254, 1257, 28592, 10000, 437 }.Select(page => new SloppyEncoding(page))];
    });

    private readonly Dictionary<char, byte> _bytes = [];

    private SloppyEncoding(int page)
    {
        Encoding encoding = CodePagesEncodingProvider.Instance.GetEncoding(page) ?? Encoding.GetEncoding(page);
        for (int b = 0; b < 256; b++)
        {
            string text = encoding.GetString([(byte)b]);
            char c = text is [var only] && only is not ('\uFFFD' or (>= '\uF800' and <= '\uF8FE')) ? only : (char)b;
            _bytes.TryAdd(c, (byte)b);
        }

        if (page == 10000)
        {
            _bytes.TryAdd('€', 0xDB);
            _bytes.TryAdd('Ω', 0xBD);
        }

        if (page is > 1000 and < 2000)
        {
            _bytes.TryAdd('\uFFFD', Lost);
        }
    }

    /// <summary>
    /// Latin-1, Windows-1252, -1251, -1250, -1253, -1254, -1257, Latin-2, MacRoman and the IBM PC's code page 437: the likeliest first.
    /// </summary>
    public static IReadOnlyList<SloppyEncoding> All => s_all.Value;

    /// <summary>The byte of a character; null when the encoding does not have it.</summary>
    public byte? ByteOf(char c) => _bytes.TryGetValue(c, out byte b) ? b : null;

    /// <summary>The bytes of a text; null when a character has none.</summary>
    public byte[]? Encode(string text)
    {
        byte[] bytes = new byte[text.Length];
        for (int i = 0; i < bytes.Length; i++)
        {
            if (!_bytes.TryGetValue(text[i], out bytes[i]))
            {
                return null;
            }
        }

        return bytes;
    }
}
