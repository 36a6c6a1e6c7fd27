using System.Text.Json;

namespace DiCacheNative.Json;

/// <summary>A value in a JSON file of a model that knows its file and place, so that every complaint names both.</summary>
internal readonly struct JsonField(string file, string place, JsonElement value)
{
    public JsonElement Value => value;

    /// <summary>Reads a file whose root must be an object.</summary>
    /// <param name="file">The file.</param>
    /// <param name="limit">Most bytes it may have.</param>
    /// <exception cref="ModelFormatException">The file is missing, cannot be read, is larger, or is not a JSON object.</exception>
    public static JsonField Read(string file, int limit) => new(file, "", JsonFile.ReadObject(file, limit));

    /// <summary>A member that must be there.</summary>
    public JsonField Get(string name) => Find(name) ?? throw Error($"'{name}' is missing");

    /// <summary>A member, or null when it is absent or JSON's null.</summary>
    public JsonField? Find(string name)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw Error($"an object with '{name}' was expected, not {Kind}");
        }

        return value.TryGetProperty(name, out JsonElement member) && member.ValueKind != JsonValueKind.Null
            ? new JsonField(file, place.Length == 0 ? name : $"{place}.{name}", member)
            : null;
    }

    public IEnumerable<JsonField> Items()
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            throw Error($"an array was expected, not {Kind}");
        }

        int index = 0;
        foreach (JsonElement item in value.EnumerateArray())
        {
            yield return new JsonField(file, $"{place}[{index++}]", item);
        }
    }

    public string Text() => TryText(value) ?? throw Error($"a text was expected, not {Kind}");

    public bool Flag() => value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Error($"true or false was expected, not {Kind}"),
    };

    /// <summary>An integer in [minimum, maximum].</summary>
    public int Integer(int minimum, int maximum) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number) && number >= minimum && number <= maximum
            ? number
            : throw Error($"a whole number from {minimum} to {maximum} was expected, not {Kind}");

    public ModelFormatException Error(string problem) => new(file, place.Length == 0 ? problem : $"{place}: {problem}");

    /// <summary>The text of a JSON string; null for another kind.</summary>
    public static string? TryText(JsonElement element) => element.ValueKind == JsonValueKind.String ? element.GetString() : null;

    private string Kind => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a text",
        JsonValueKind.Undefined => "nothing",
        _ => value.GetRawText(),
    };
}
