using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using DiCacheNative.Tensors;

namespace DiCacheNative.Weights;

/// <summary>
/// Collects tensors and writes them as a safetensors file: all of it or nothing. The layout is that of the format's reference
/// implementation (wide types first, then by name, header padded to 8 bytes), so that equal content gives equal bytes.
/// </summary>
public sealed class SafetensorsWriter
{
    private readonly Dictionary<string, Item> _items = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _metadata = new(StringComparer.Ordinal);

    /// <summary>Adds a line of free text to the file's header.</summary>
    /// <exception cref="ArgumentException">The key was used before.</exception>
    public void AddMetadata(string key, string value) => _metadata.Add(key, value);

    /// <summary>Adds a tensor as binary32. The array is not copied: it must stay as it is until <see cref="Save"/>.</summary>
    /// <exception cref="ShapeException">The shape does not have that many elements.</exception>
    /// <exception cref="ArgumentException">The name was used before.</exception>
    public void Add(string name, ReadOnlySpan<int> shape, float[] values)
    {
        ArgumentNullException.ThrowIfNull(values);
        Add(name, DType.F32, shape, (long)values.Length * sizeof(float), stream => stream.Write(MemoryMarshal.AsBytes(values.AsSpan())));
    }

    /// <summary>Adds a tensor given as little-endian bytes, which are not copied and must stay as they are until <see cref="Save"/>.</summary>
    /// <exception cref="ShapeException">The shape does not take that many bytes.</exception>
    /// <exception cref="ArgumentException">The name was used before.</exception>
    public void Add(string name, DType type, ReadOnlySpan<int> shape, ReadOnlyMemory<byte> bytes) =>
        Add(name, type, shape, bytes.Length, stream => stream.Write(bytes.Span));

    /// <summary>Adds a tensor of another file, which must stay open until <see cref="Save"/>.</summary>
    /// <exception cref="ArgumentException">The name was used before.</exception>
    public void Add(in HostTensor tensor)
    {
        HostTensor source = tensor;
        Add(source.Name, source.Type, source.Shape, source.Bytes, stream => Copy(source, stream));
    }

    /// <summary>Writes the file; readers see all of it or nothing.</summary>
    /// <param name="path">The file; one that is there already is replaced.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        List<Item> order = [.. _items.Values.OrderByDescending(i => i.Type.Size()).ThenBy(i => i.Name, StringComparer.Ordinal)];
        byte[] header = Header(order);
        AtomicFile.Write(path, stream =>
        {
            Span<byte> length = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
            stream.Write(length);
            stream.Write(header);
            foreach (Item item in order)
            {
                item.Write(stream);
            }
        });
    }

    private static void Copy(in HostTensor source, Stream stream)
    {
        byte[] piece = new byte[(int)Math.Min(1 << 20, source.Bytes)];
        for (long at = 0; at < source.Bytes; at += piece.Length)
        {
            Span<byte> part = piece.AsSpan(0, (int)Math.Min(piece.Length, source.Bytes - at));
            source.CopyBytes(part, at);
            stream.Write(part);
        }
    }

    private void Add(string name, DType type, ReadOnlySpan<int> shape, long bytes, Action<Stream> write)
    {
        ArgumentNullException.ThrowIfNull(name);
        long count = 1;
        foreach (int d in shape)
        {
            count = checked(count * d);
        }

        if (count * type.Size() != bytes)
        {
            throw new ShapeException($"'{name}' [{string.Join(", ", shape.ToArray())}] of {type} needs {count * type.Size()} bytes, not {bytes}");
        }

        _items.Add(name, new Item(name, type, shape.ToArray(), bytes, write));
    }

    private byte[] Header(List<Item> order)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            if (_metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach ((string key, string value) in _metadata)
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            long at = 0;
            foreach (Item item in order)
            {
                json.WriteStartObject(item.Name);
                json.WriteString("dtype", item.Type.ToString());
                json.WriteStartArray("shape");
                foreach (int d in item.Shape)
                {
                    json.WriteNumberValue(d);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(at);
                json.WriteNumberValue(at += item.Bytes);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        while (buffer.Length % 8 != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.ToArray();
    }

    private sealed record Item(string Name, DType Type, int[] Shape, long Bytes, Action<Stream> Write);
}
