using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using DiCacheNative.Json;

namespace DiCacheNative.Text;

/// <summary>
/// The character map that SentencePiece compiles into its models: a double-array trie over UTF-8 whose values point into a block of
/// replacements.
/// </summary>
/// <remarks>
/// Layout (little-endian): size of the trie in bytes as uint32, the trie's units as uint32, then replacements in UTF-8, each ended by
/// a zero byte. A unit holds its label in bits 0-7, "has a value" in bit 8, and the offset of its children in bits 10-30, times 256
/// when bit 9 is set; a value's unit has bit 31 set and the value in the others (Darts-clone's layout).
/// The text is walked by grapheme clusters as the tokenizers library does: a cluster of less than 6 bytes is looked up whole, and the
/// value of the shortest key that begins it replaces all of it; otherwise each of its characters is looked up alone.
/// </remarks>
internal sealed class PrecompiledCharsMap
{
    private const int LongestCluster = 5;

    private readonly JsonField _source;
    private readonly uint[] _units;
    private readonly byte[] _replacements;

    /// <param name="source">The base64 text.</param>
    public PrecompiledCharsMap(JsonField source)
    {
        _source = source;
        byte[] data;
        try
        {
            data = Convert.FromBase64String(source.Text());
        }
        catch (FormatException e)
        {
            throw source.Error($"not base64 ({e.Message})");
        }

        uint size = data.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(data) : 0;
        if (size == 0 || size % 4 != 0 || size > data.Length - 4)
        {
            throw source.Error($"a character map of {data.Length} bytes cannot hold a trie of {size}");
        }

        _units = new uint[size / 4];
        for (int i = 0; i < _units.Length; i++)
        {
            _units[i] = BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(4 + (4 * i)));
        }

        _replacements = data[(int)(4 + size)..];
    }

    public string Normalize(string text, TextBudget budget)
    {
        var result = new StringBuilder(text.Length);
        for (int start = 0; start < text.Length;)
        {
            ReadOnlySpan<char> cluster = text.AsSpan(start, StringInfo.GetNextTextElementLength(text, start));
            start += cluster.Length;
            if (Encoding.UTF8.GetByteCount(cluster) <= LongestCluster && Find(cluster) is { } whole)
            {
                budget.Write(whole.Length);
                result.Append(whole);
                continue;
            }

            foreach (Rune rune in cluster.EnumerateRunes())
            {
                ReadOnlySpan<char> character = cluster[..rune.Utf16SequenceLength];
                cluster = cluster[rune.Utf16SequenceLength..];
                if (Find(character) is { } replacement)
                {
                    budget.Write(replacement.Length);
                    result.Append(replacement);
                }
                else
                {
                    result.Append(character);
                }
            }
        }

        return result.ToString();
    }

    // The replacement of the shortest key that begins the text, or null.
    private string? Find(ReadOnlySpan<char> text)
    {
        Span<byte> key = stackalloc byte[LongestCluster];
        key = key[..Encoding.UTF8.GetBytes(text, key)];
        uint position = Offset(_units[0]);
        foreach (byte label in key)
        {
            position ^= label;
            uint unit = Unit(position);
            if (label == 0 || (unit & 0x8000_00FF) != label)
            {
                return null;
            }

            position ^= Offset(unit);
            if ((unit & 0x100) != 0)
            {
                return Replacement(Unit(position) & 0x7FFF_FFFF);
            }
        }

        return null;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);

    private uint Unit(uint position) => position < _units.Length ? _units[position] : throw Broken();

    private string Replacement(uint offset)
    {
        if (offset >= _replacements.Length)
        {
            throw Broken();
        }

        ReadOnlySpan<byte> rest = _replacements.AsSpan((int)offset);
        int end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }

    private ModelFormatException Broken() => _source.Error("the character map points outside of itself");
}
