using System.Globalization;
using System.Text.Json;
using DiCacheNative.Json;

namespace DiCacheNative.Models;

/// <summary>A JSON object of a model folder, read with messages that name file, key and what was expected.</summary>
public sealed class ModelJson
{
    private readonly string _path;
    private readonly JsonElement _root;

    private ModelJson(string path, JsonElement root) => (_path, _root) = (path, root);

    /// <summary>Reads a file.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="ModelFormatException">It is missing, cannot be read, is larger than a megabyte, or is not a JSON object.</exception>
    public static ModelJson Read(string path) => new(path, JsonFile.ReadObject(path, JsonFile.ConfigBytes));

    /// <summary>All keys, in the order of the file.</summary>
    public IReadOnlyList<string> Keys => [.. _root.EnumerateObject().Select(p => p.Name)];

    /// <summary>A value as JSON without spaces ("2" and "2.0" are one number), for messages and comparisons; "null" when the key is missing.</summary>
    public string Raw(string key) => !Has(key) ? "null" : _root.GetProperty(key) switch
    {
        { ValueKind: JsonValueKind.Number } value when value.TryGetDouble(out double number) => number.ToString(CultureInfo.InvariantCulture),
        { ValueKind: JsonValueKind.String } value => value.GetRawText(),
        var value => string.Concat(value.GetRawText().Where(c => !char.IsWhiteSpace(c))),
    };

    /// <summary>Whether a key is there and not null.</summary>
    public bool Has(string key) => _root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>An integer; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is missing without a fallback, or not an integer.</exception>
    public int Integer(string key, int? fallback = null)
    {
        if (!Has(key))
        {
            return fallback ?? throw Missing(key, "an integer");
        }

        return _root.GetProperty(key) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out int number) ? number
            : throw Wrong(key, "an integer");
    }

    /// <summary>A number; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is missing without a fallback, or not a finite number.</exception>
    public double Number(string key, double? fallback = null)
    {
        if (!Has(key))
        {
            return fallback ?? throw Missing(key, "a number");
        }

        return _root.GetProperty(key) is { ValueKind: JsonValueKind.Number } value && value.TryGetDouble(out double number) && double.IsFinite(number)
            ? number : throw Wrong(key, "a number");
    }

    /// <summary>A truth value; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is neither true nor false.</exception>
    public bool Boolean(string key, bool fallback) => !Has(key) ? fallback : _root.GetProperty(key).ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong(key, "true or false"),
    };

    /// <summary>A string; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is not a string.</exception>
    public string String(string key, string fallback) =>
        !Has(key) ? fallback : _root.GetProperty(key) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : throw Wrong(key, "a string");

    /// <summary>A list of integers; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is not a list of integers.</exception>
    public IReadOnlyList<int> Integers(string key, IReadOnlyList<int> fallback) =>
        List(key, fallback, "a list of integers", item => item.ValueKind == JsonValueKind.Number && item.TryGetInt32(out int number) ? number : null);

    /// <summary>A list of numbers; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is not a list of finite numbers.</exception>
    public IReadOnlyList<double> Numbers(string key, IReadOnlyList<double> fallback) => List(
        key, fallback, "a list of numbers",
        item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out double number) && double.IsFinite(number) ? number : null);

    /// <summary>A list of strings; the fallback when the key is missing or null.</summary>
    /// <exception cref="ModelFormatException">It is not a list of strings.</exception>
    public IReadOnlyList<string> Strings(string key, IReadOnlyList<string> fallback)
    {
        if (!Has(key))
        {
            return fallback;
        }

        return _root.GetProperty(key) is { ValueKind: JsonValueKind.Array } array
            ? [.. array.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.String ? item.GetString()! : throw Wrong(key, "a list of strings"))]
            : throw Wrong(key, "a list of strings");
    }

    private IReadOnlyList<T> List<T>(string key, IReadOnlyList<T> fallback, string expected, Func<JsonElement, T?> read)
        where T : struct
    {
        if (!Has(key))
        {
            return fallback;
        }

        return _root.GetProperty(key) is { ValueKind: JsonValueKind.Array } array
            ? [.. array.EnumerateArray().Select(item => read(item) ?? throw Wrong(key, expected))]
            : throw Wrong(key, expected);
    }

    private ModelFormatException Missing(string key, string expected) => new($"{_path} has no \"{key}\", which must be {expected}");

    private ModelFormatException Wrong(string key, string expected) => new($"{_path}: \"{key}\" must be {expected}");
}
