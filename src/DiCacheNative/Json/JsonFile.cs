using System.Text.Json;
using System.Text.Unicode;
using DiCacheNative.Weights;

namespace DiCacheNative.Json;

/// <summary>
/// Reads the JSON files of a model: regular files up to a size, with or without a byte order mark, valid Unicode throughout. What comes
/// out can be asked for any name and any string without an error.
/// </summary>
internal static class JsonFile
{
    /// <summary>Most bytes of a configuration; released ones have a few thousand.</summary>
    public const int ConfigBytes = 1 << 20;

    /// <summary>Most bytes of a file with a vocabulary; the largest released ones have 33 million.</summary>
    public const int VocabularyBytes = 48 << 20;

    // Deeper nesting than this is in no file of a model.
    private const int MaxDepth = 64;

    /// <summary>Reads a file that holds one JSON object.</summary>
    /// <param name="path">The file.</param>
    /// <param name="limit">Most bytes it may have.</param>
    /// <exception cref="ModelFormatException">It is missing, cannot be read, is larger, or is not a JSON object in valid UTF-8.</exception>
    public static JsonElement ReadObject(string path, int limit)
    {
        ReadOnlySpan<byte> json = ReadBytes(path, limit, "a JSON file of this kind");
        try
        {
            CheckStrings(path, json);
            Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            JsonElement root = JsonElement.ParseValue(ref reader);
            return root.ValueKind == JsonValueKind.Object ? root : throw new ModelFormatException(path, "it is not a JSON object");
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(path, Foreign(json) ?? $"it is not valid JSON: {e.Message}", e);
        }
    }

    /// <summary>The bytes of a JSON file without a byte order mark, valid UTF-8.</summary>
    /// <exception cref="ModelFormatException">It is missing, cannot be read, is larger, or is not UTF-8.</exception>
    public static ReadOnlySpan<byte> ReadBytes(string path, int limit, string kind)
    {
        ReadOnlySpan<byte> json = InputFile.ReadAll(path, limit, kind);
        if (json.StartsWith("\uFEFF"u8))
        {
            json = json[3..];
        }

        return Utf8.IsValid(json) ? json : throw new ModelFormatException(path, Foreign(json) ?? "it is not valid JSON: it is not UTF-8 text");
    }

    /// <summary>What a file is that is not JSON, when that can be told.</summary>
    public static string? Foreign(ReadOnlySpan<byte> json) =>
        ForeignFile.Describe(json[..Math.Min(json.Length, ForeignFile.HeadBytes)], FileKind.Json);

    // An escaped surrogate without its partner is well-formed JSON, and an exception in whoever asks for the text.
    private static void CheckStrings(string path, ReadOnlySpan<byte> json)
    {
        Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        while (reader.Read())
        {
            if (reader.ValueIsEscaped)
            {
                try
                {
                    reader.GetString();
                }
                catch (InvalidOperationException e)
                {
                    throw new ModelFormatException(path, $"it is not valid JSON: the text at byte {reader.TokenStartIndex} is not valid Unicode", e);
                }
            }
        }
    }
}
