using System.Text;

namespace DiCacheNative.Text.Cleaning;

/// <summary>UTF-8 with two liberties that are found in the wild: surrogates encoded one by one (CESU-8), and C0 80 for U+0000.</summary>
internal static class Utf8Variant
{
    /// <summary>Bytes of a sequence by its first byte: 1 to 4; 0 for a byte that begins none.</summary>
    public static int Length(byte lead) =>
        lead switch { < 0x80 => 1, 0xC0 => 2, >= 0xC2 and <= 0xDF => 2, >= 0xE0 and <= 0xEF => 3, >= 0xF0 and <= 0xF4 => 4, _ => 0 };

    /// <summary>The text of bytes; null when they are not valid throughout.</summary>
    public static string? Decode(byte[] bytes)
    {
        StringBuilder text = new(bytes.Length);
        for (int i = 0; i < bytes.Length;)
        {
            int length = Length(bytes[i]);
            if (length == 0 || i + length > bytes.Length)
            {
                return null;
            }

            int value = length == 1 ? bytes[i] : bytes[i] & (0x7F >> length);
            for (int k = 1; k < length; k++)
            {
                if ((bytes[i + k] & 0xC0) != 0x80)
                {
                    return null;
                }

                value = (value << 6) | (bytes[i + k] & 0x3F);
            }

            bool shortest = length switch
            {
                2 => value >= 0x80 || (value == 0 && bytes[i] == 0xC0),
                3 => value >= 0x800,
                4 => value is >= 0x10000 and <= 0x10FFFF,
                _ => true
            };
            if (!shortest)
            {
                return null;
            }

            text.Append(value < 0x10000 ? ((char)value).ToString() : char.ConvertFromUtf32(value));
            i += length;
        }

        string decoded = text.ToString();
        return HasLoneSurrogate(decoded) ? null : decoded;
    }

    private static bool HasLoneSurrogate(string text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                return true;
            }
        }

        return false;
    }
}
