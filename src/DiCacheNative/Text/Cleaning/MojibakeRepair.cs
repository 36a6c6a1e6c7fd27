using System.Text;

namespace DiCacheNative.Text.Cleaning;

/// <summary>
/// Undoes wrong decoding: text in UTF-8 that was read as an encoding of one byte for each character ("cafÃ©"), any number of times over, and Windows-1252 that
/// was read as Latin-1. A text is changed only where it looks wrong (<see cref="Oddness"/>), only by a decoding that is valid, and only when it looks better
/// afterwards.
/// </summary>
internal static class MojibakeRepair
{
    private const int MostLayers = 8;
    private const int DeepestLook = 3;

    private static readonly System.Buffers.SearchValues<byte> s_continuationOrSpace =
        System.Buffers.SearchValues.Create([(byte)' ', .. Enumerable.Range(0x80, 64).Select(b => (byte)b)]);

    /// <summary>Repairs a text; one that looks right comes back as it is.</summary>
    public static string Repair(string text) => Repair(text, 0);

    private static string Repair(string text, int depth)
    {
        for (int layer = 0; layer < MostLayers; layer++)
        {
            int odd = Oddness.Of(text);
            string better = odd == 0 ? text : Whole(text, odd, depth) ?? Latin1AsWindows(text) ?? Parts(text, odd) ?? ControlsAsWindows(text);
            if (better == text)
            {
                break;
            }

            text = better;
        }

        return text;
    }

    /// <summary>The whole text decoded anew; null when no encoding makes it better.</summary>
    private static string? Whole(string text, int odd, int depth)
    {
        if (text.Contains((char)SloppyEncoding.Lost))
        {
            return null;
        }

        foreach (SloppyEncoding encoding in SloppyEncoding.All)
        {
            if (encoding.Encode(text) is not { } bytes)
            {
                continue;
            }

            (byte[] restored, int cost) = RestoreSpaces(bytes);
            foreach ((byte[] candidate, int price) in new[] { (bytes, 0), (restored, cost) })
            {
                string? decoded = Utf8Variant.Decode(ReplaceLost(candidate))?.Replace((char)SloppyEncoding.Lost, '\uFFFD');
                if (decoded is not null && decoded != text
                    && (Oddness.Of(decoded) < odd - price || (depth < DeepestLook && Oddness.Of(Repair(decoded, depth + 1)) < odd - price)))
                {
                    return decoded;
                }
            }
        }

        return null;
    }

    /// <summary>A text of Latin-1 alone whose controls are punctuation of Windows-1252.</summary>
    private static string? Latin1AsWindows(string text) =>
        text.All(c => c < 256) && ControlsAsWindows(text) is var changed && changed != text ? changed : null;

    private static string ControlsAsWindows(string text) =>
        text.Any(c => c is >= '\u0080' and <= '\u009F') ? string.Concat(text.Select(HtmlReferences.ControlAsWindows)) : text;

    /// <summary>Sequences that are UTF-8 by themselves, in a text that is not so throughout.</summary>
    private static string? Parts(string text, int odd)
    {
        foreach (SloppyEncoding encoding in SloppyEncoding.All.Take(SloppyEncoding.All.Count - 1))
        {
            StringBuilder result = new(text.Length);
            bool continues = false;
            for (int i = 0; i < text.Length;)
            {
                bool alone = i == 0 || text[i - 1] < 0x80 || text[i - 1] is '’' or '\u00A0' || continues;
                int length = alone && text[i] >= 0x80 ? SequenceAt(text, i, encoding) : 0;
                string? decoded = length == 0 ? null : Utf8Variant.Decode([.. text.AsSpan(i, length).ToArray().Select(c => encoding.ByteOf(c)!.Value)]);
                int from = Math.Max(0, i - 1), to = Math.Min(text.Length, i + length + 1);
                continues = decoded is not null && Oddness.Of($"{text[from..i]}{decoded}{text[(i + length)..to]}") < Oddness.Of(text[from..to]);
                result.Append(continues ? decoded : text[i].ToString());
                i += continues ? length : 1;
            }

            string better = result.ToString();
            if (better != text && Oddness.Of(better) < odd)
            {
                return better;
            }
        }

        return null;
    }

    /// <summary>Characters from a position on that are the bytes of one sequence of UTF-8; 0 when they are none.</summary>
    private static int SequenceAt(string text, int start, SloppyEncoding encoding)
    {
        int length = Utf8Variant.Length(encoding.ByteOf(text[start]) ?? 0);
        if (length < 2 || start + length > text.Length)
        {
            return 0;
        }

        for (int i = start + 1; i < start + length; i++)
        {
            if (text[i] < 0x80 || encoding.ByteOf(text[i]) is not { } b || (b & 0xC0) != 0x80)
            {
                return 0;
            }
        }

        return length;
    }

    /// <summary>Spaces that were no-break spaces inside a sequence of UTF-8, as they were; "Ã " is the word "à" and keeps its space.</summary>
    /// <returns>The bytes, and how many were guessed.</returns>
    private static (byte[] Bytes, int Guessed) RestoreSpaces(byte[] bytes)
    {
        List<byte> result = new(bytes.Length);
        int guessed = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            byte b = bytes[i];
            int length = Utf8Variant.Length(b);
            ReadOnlySpan<byte> rest = bytes.AsSpan(i + 1, Math.Clamp(length - 1, 0, bytes.Length - i - 1));
            bool broken = length > 1 && rest.Length == length - 1 && rest.Contains((byte)' ') && !rest.ContainsAnyExcept(s_continuationOrSpace);
            if (!broken)
            {
                result.Add(b);
                continue;
            }

            byte after = i + length < bytes.Length ? bytes[i + length] : (byte)0;
            if (b == 0xC3)
            {
                if (after == ' ' || after is >= (byte)'A' and <= (byte)'Z')
                {
                    result.Add(b);
                    continue;
                }

                // "Ã s" is "às", everything else "à" and a word.
                bool plural = after == 's' && (i + length + 1 == bytes.Length || bytes[i + length + 1] == ' ');
                result.AddRange(plural ? [b, 0xA0] : [b, 0xA0, (byte)' ']);
            }
            else
            {
                result.Add(b);
                foreach (byte c in rest)
                {
                    result.Add(c == ' ' ? (byte)0xA0 : c);
                    guessed += c == ' ' ? 1 : 0;
                }
            }

            i += length - 1;
        }

        return ([.. result], guessed);
    }

    /// <summary>Sequences with lost bytes as U+FFFD.</summary>
    private static byte[] ReplaceLost(byte[] bytes)
    {
        List<byte> result = new(bytes.Length);
        for (int i = 0; i < bytes.Length; i++)
        {
            int length = Utf8Variant.Length(bytes[i]);
            ReadOnlySpan<byte> rest = bytes.AsSpan(i + 1, Math.Clamp(length - 1, 0, bytes.Length - i - 1));
            bool lost = length > 1 && rest.Length == length - 1 && rest.Contains(SloppyEncoding.Lost);
            foreach (byte b in rest)
            {
                lost &= b == SloppyEncoding.Lost || (b & 0xC0) == 0x80;
            }

            // A quotation mark whose last byte became a question mark.
            lost |= bytes[i] == 0xE2 && rest is [0x80, (byte)'?'];
            if (lost)
            {
                result.AddRange("\uFFFD"u8);
                i += length - 1;
            }
            else
            {
                result.Add(bytes[i]);
            }
        }

        return [.. result];
    }
}
