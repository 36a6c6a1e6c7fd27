using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Unicode;
using DiCacheNative.Tensors;

namespace DiCacheNative.Weights;

/// <summary>
/// The JSON header of a safetensors file, read and checked in full: nothing that it says reaches a pointer before it was compared
/// with the size of the file. As strict as the format's reference implementation (no holes, no overlaps, no trailing bytes), and
/// stricter where that one is silent: a name may occur only once.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>
    /// Largest header that is read. The format allows 100 MB, enough for 1.7 million tensors, which take seconds and a gigabyte to list;
    /// released models have at most a few thousand, in headers of less than a megabyte.
    /// </summary>
    internal const int MaxBytes = 16_000_000;

    /// <summary>Most dimensions a tensor may have; checkpoints of diffusion models stop at 5.</summary>
    internal const int MaxRank = 8;

    private readonly string _path;
    private readonly List<Entry> _entries = [];
    private readonly Dictionary<string, string> _metadata = new(StringComparer.Ordinal);

    private SafetensorsHeader(string path) => _path = path;

    /// <summary>Tensors in the order of their data.</summary>
    internal IReadOnlyList<Entry> Entries => _entries;

    /// <summary>The free-text entries of <c>__metadata__</c>.</summary>
    internal IReadOnlyDictionary<string, string> Metadata => _metadata;

    /// <summary>Reads and checks a header.</summary>
    /// <param name="path">File name for error messages.</param>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataBytes">Size of the data that follows the header.</param>
    /// <exception cref="ModelFormatException">The header is not valid, or does not fit the data.</exception>
    internal static SafetensorsHeader Parse(string path, ReadOnlySpan<byte> json, long dataBytes)
    {
        SafetensorsHeader header = new(path);
        if (json.IsEmpty || json[0] != (byte)'{')
        {
            header.Fail("the header is not a JSON object");
        }

        if (!Utf8.IsValid(json))
        {
            header.Fail("the header is not valid UTF-8");
        }

        try
        {
            header.Read(json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: an escaped surrogate without its partner, or a value of another kind than asked for.
            throw new ModelFormatException(path, $"the header is not valid JSON of the safetensors form: {e.Message}", e);
        }

        header.CheckLayout(dataBytes);
        return header;
    }

    /// <summary>Bits of one element of a type the format knows, or 0.</summary>
    private static int Bits(string type) => type switch
    {
        "F64" or "I64" or "U64" or "C64" => 64,
        "F32" or "I32" or "U32" => 32,
        "F16" or "BF16" or "I16" or "U16" => 16,
        "F8_E5M2" or "F8_E4M3" or "F8_E8M0" or "F8_E5M2FNUZ" or "F8_E4M3FNUZ" or "I8" or "U8" or "BOOL" => 8,
        "F6_E2M3" or "F6_E3M2" => 6,
        "F4" => 4,
        _ => 0,
    };

    /// <summary>The type as this engine knows it, or null.</summary>
    private static DType? Known(string type) => type switch
    {
        "F32" => DType.F32,
        "F16" => DType.F16,
        "BF16" => DType.BF16,
        "F64" => DType.F64,
        "I64" => DType.I64,
        "I32" => DType.I32,
        _ => null,
    };

    private void Read(ReadOnlySpan<byte> json)
    {
        Utf8JsonReader reader = new(json);
        HashSet<string> names = new(StringComparer.Ordinal);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            if (!names.Add(name))
            {
                Fail($"{Listing.Quoted(name)} is listed twice");
            }

            reader.Read();
            if (name == "__metadata__" && reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }

            if (reader.TokenType != JsonTokenType.StartObject)
            {
                Fail($"{Listing.Quoted(name)} is not described by a JSON object");
            }

            if (name == "__metadata__")
            {
                ReadMetadata(ref reader);
            }
            else
            {
                ReadEntry(ref reader, name);
            }
        }

        // The reader refuses anything but white space after the object's end.
        while (reader.Read())
        {
        }
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                Fail($"the metadata entry {Listing.Quoted(key)} is not a string");
            }

            if (!_metadata.TryAdd(key, reader.GetString()!))
            {
                Fail($"the metadata entry {Listing.Quoted(key)} is listed twice");
            }
        }
    }

    private void ReadEntry(ref Utf8JsonReader reader, string name)
    {
        string? type = null;
        List<long>? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null && reader.TokenType == JsonTokenType.String:
                    type = reader.GetString()!;
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref reader, name, key, MaxRank);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref reader, name, key, 2);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    Fail($"{Listing.Quoted(name)} gives {key} twice or not as the format asks");
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (type is null || shape is null || offsets is not { Count: 2 })
        {
            Fail($"{Listing.Quoted(name)} lacks its dtype, its shape or its two data_offsets");
        }

        _entries.Add(CheckEntry(name, type, shape, offsets[0], offsets[1]));
    }

    private List<long> ReadNumbers(ref Utf8JsonReader reader, string name, string key, int atMost)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Fail($"{key} of {Listing.Quoted(name)} is not an array");
        }

        List<long> numbers = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
            {
                Fail($"{key} of {Listing.Quoted(name)} holds something other than a whole number from 0 to 2^63 - 1");
            }
            else if (numbers.Count == atMost)
            {
                Fail($"{key} of {Listing.Quoted(name)} has more than {atMost} entries");
            }
            else
            {
                numbers.Add(number);
            }
        }

        return numbers;
    }

    private Entry CheckEntry(string name, string type, List<long> shape, long begin, long end)
    {
        int bits = Bits(type);
        if (bits == 0)
        {
            Fail($"{Listing.Quoted(name)} has the unknown dtype {Listing.Quoted(type)}");
        }

        string ShapeText() => "[" + string.Join(", ", shape) + "]";
        int[] dims = new int[shape.Count];
        Int128 count = 1;
        for (int i = 0; i < dims.Length; i++)
        {
            if (shape[i] > int.MaxValue)
            {
                Fail($"{Listing.Quoted(name)} {ShapeText()} has a dimension above 2^31 - 1");
            }

            dims[i] = (int)shape[i];
            count *= dims[i];
            if (count > long.MaxValue / 64)
            {
                Fail($"{Listing.Quoted(name)} {ShapeText()} has more elements than a file can hold");
            }
        }

        if (begin > end)
        {
            Fail($"data_offsets [{begin}, {end}] of {Listing.Quoted(name)} run backwards");
        }

        if (count * bits != (Int128)(end - begin) * 8)
        {
            Int128 needed = ((count * bits) + 7) / 8;
            Fail($"{Listing.Quoted(name)} {ShapeText()} of {type} needs {needed} bytes, but its data_offsets [{begin}, {end}] hold {end - begin}");
        }

        return new Entry(name, type, Known(type), dims, begin, end);
    }

    private void CheckLayout(long dataBytes)
    {
        _entries.Sort((a, b) => a.Begin != b.Begin ? a.Begin.CompareTo(b.Begin) : a.End.CompareTo(b.End));
        long at = 0;
        foreach (Entry entry in _entries)
        {
            if (entry.End > dataBytes)
            {
                Fail($"{Listing.Quoted(entry.Name)} ends at byte {entry.End} of the data, but the file holds only {dataBytes}: it is cut short");
            }

            if (entry.Begin < at)
            {
                Fail($"{Listing.Quoted(entry.Name)} overlaps the tensor before it, at byte {entry.Begin} of the data");
            }

            if (entry.Begin > at)
            {
                Fail($"bytes {at}..{entry.Begin} of the data, before {Listing.Quoted(entry.Name)}, belong to no tensor");
            }

            at = entry.End;
        }

        if (at != dataBytes)
        {
            Fail($"the last {dataBytes - at} bytes of the data belong to no tensor");
        }
    }

    [DoesNotReturn]
    private void Fail(string what) => throw new ModelFormatException(_path, what);

    /// <summary>One tensor of the header.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="TypeName">Its dtype as the file spells it.</param>
    /// <param name="Type">Its dtype, or null when this engine has no such type.</param>
    /// <param name="Shape">Dimensions, outermost first.</param>
    /// <param name="Begin">First byte, counted from the end of the header.</param>
    /// <param name="End">Byte after the last.</param>
    internal sealed record Entry(string Name, string TypeName, DType? Type, int[] Shape, long Begin, long End);
}
