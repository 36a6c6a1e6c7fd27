using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using DiCacheNative.Json;

namespace DiCacheNative.Weights;

/// <summary>Reads <c>*.safetensors.index.json</c>: which shard each tensor lies in.</summary>
internal static class SafetensorsIndex
{
    /// <summary>Tensor name to shard file name; every shard name is that of a file in the index's own directory.</summary>
    /// <exception cref="ModelFormatException">The file cannot be read or is not a valid index.</exception>
    internal static IReadOnlyDictionary<string, string> Read(string path)
    {
        ReadOnlySpan<byte> json = JsonFile.ReadBytes(path, SafetensorsHeader.MaxBytes, "an index of shards");
        Dictionary<string, string>? map = null;
        try
        {
            Utf8JsonReader reader = new(json);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                Fail(path, "the index is not a JSON object");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool isMap = reader.ValueTextEquals("weight_map"u8);
                reader.Read();
                if (!isMap)
                {
                    reader.Skip();
                }
                else if (map is not null || reader.TokenType != JsonTokenType.StartObject)
                {
                    Fail(path, "weight_map occurs twice or is not a JSON object");
                }
                else
                {
                    map = ReadMap(path, ref reader);
                }
            }

            while (reader.Read())
            {
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new ModelFormatException(path, JsonFile.Foreign(json) ?? $"the index is not valid JSON: {e.Message}", e);
        }

        if (map is not { Count: > 0 })
        {
            Fail(path, "the index has no weight_map, or an empty one");
        }

        return map;
    }

    private static Dictionary<string, string> ReadMap(string path, ref Utf8JsonReader reader)
    {
        Dictionary<string, string> map = new(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            reader.Read();
            string? shard = reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
            if (!IsPlainName(shard))
            {
                Fail(
                    path,
                    $"weight_map puts '{name}' into '{shard}', which is not the name of a .safetensors file in the index's own directory");
            }

            if (!map.TryAdd(name, shard))
            {
                Fail(path, $"weight_map lists '{name}' twice");
            }
        }

        return map;
    }

    /// <summary>Refuses everything that could lead out of the directory, on any operating system.</summary>
    private static bool IsPlainName([NotNullWhen(true)] string? shard) =>
        shard is not null
        && shard.EndsWith(".safetensors", StringComparison.Ordinal)
        && shard.AsSpan().IndexOfAny("/\\:") < 0
        && !shard.Any(char.IsControl);

    [DoesNotReturn]
    private static void Fail(string path, string what) => throw new ModelFormatException(path, what);
}
