using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace DiCacheNative.Fuzz;

/// <summary>A safetensors file in parts, to be changed before it is put together.</summary>
internal sealed class CheckpointText
{
    private static readonly string[] s_types = ["F32", "F16", "BF16", "F64", "I64", "I32", "F8_E4M3", "U8", "BOOL", "F4", "F6_E2M3", "Q4", "", "f32"];

    private readonly List<Entry> _entries = [];

    public long DataBytes { get; private set; }

    public int Count => _entries.Count;

    public CheckpointText Add(string name, string type, int bits, params IEnumerable<int> shape)
    {
        long[] dims = [.. shape.Select(d => (long)d)];
        long bytes = dims.Aggregate(1L, (a, b) => a * b) * bits / 8;
        _entries.Add(new Entry { Name = name, Type = type, Shape = dims, Begin = DataBytes, End = DataBytes + bytes });
        DataBytes += bytes;
        return this;
    }

    /// <summary>Changes a tensor or two, leaving most of the file as it is.</summary>
    public void Mutate(Random random)
    {
        for (int changes = random.Next(1, 3); changes > 0 && _entries.Count > 0; changes--)
        {
            Entry entry = _entries[random.Next(_entries.Count)];
            switch (random.Next(12))
            {
                case 0:
                    entry.Name = Mutation.Text(random);
                    break;
                case 1:
                    entry.Name = _entries[random.Next(_entries.Count)].Name;
                    break;
                case 2:
                    entry.Type = s_types[random.Next(s_types.Length)];
                    break;
                case 3 when entry.Shape.Length > 0:
                    entry.Shape[random.Next(entry.Shape.Length)] = Long(random);
                    break;
                case 4:
                    entry.Shape = [.. entry.Shape.Reverse()];
                    break;
                case 5:
                    entry.Shape = [.. Enumerable.Range(0, random.Next(11)).Select(_ => random.Next(2) == 0 ? 1 : Long(random))];
                    break;
                case 6:
                    entry.Begin = Long(random);
                    break;
                case 7:
                    entry.End = Long(random);
                    break;
                case 8:
                    _entries.Remove(entry);
                    break;
                case 9:
                    // Numbers in names count blocks.
                    entry.Name = string.Concat(entry.Name.Select(c => char.IsAsciiDigit(c) ? Long(random).ToString(CultureInfo.InvariantCulture)
                        : c.ToString()));
                    break;
                case 10:
                    Add(random.Next(2) == 0 ? entry.Name + ".extra" : "scaled_fp8", "F32", 32, random.Next(2) == 0 ? [] : [random.Next(3)]);
                    break;
                default:
                    DataBytes = random.Next(3) == 0 ? random.Next(100) : Math.Max(0, DataBytes + random.Next(-9, 9));
                    break;
            }
        }
    }

    /// <summary>The file; its data are small numbers.</summary>
    public byte[] ToBytes(Random? random = null, string metadata = "\"__metadata__\":{\"format\":\"pt\"},")
    {
        StringBuilder header = new("{" + metadata);
        foreach (Entry e in _entries)
        {
            header.Append(header[^1] == '{' || header[^1] == ',' ? "" : ",").Append(CultureInfo.InvariantCulture,
                $"{System.Text.Json.JsonSerializer.Serialize(e.Name)}:{{\"dtype\":\"{e.Type}\",\"shape\":[{string.Join(',', e.Shape)}],"
                + $"\"data_offsets\":[{e.Begin},{e.End}]}}");
        }

        byte[] json = Encoding.UTF8.GetBytes(header.ToString().TrimEnd(',') + "}");
        json = random is not null && random.Next(4) == 0 ? Mutation.Damage(random, json) : json;
        byte[] bytes = new byte[8 + json.Length + (int)Math.Min(DataBytes, 1 << 24)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, random is not null && random.Next(20) == 0 ? Long(random) : json.Length);
        json.CopyTo(bytes, 8);
        for (int i = 8 + json.Length; i < bytes.Length; i += 4)
        {
            bytes[i] = (byte)(i >> 4);
        }

        return bytes;
    }

    private static long Long(Random random) => random.Next(4) switch
    {
        0 => random.Next(-2, 40),
        1 => (1L << random.Next(63)) + random.Next(-1, 2),
        2 => int.MaxValue - random.Next(3),
        _ => (long)Math.Clamp(Mutation.Number(random), -1e18, 9e18),
    };

    private sealed class Entry
    {
        public required string Name { get; set; }

        public required string Type { get; set; }

        public required long[] Shape { get; set; }

        public required long Begin { get; set; }

        public required long End { get; set; }
    }
}
