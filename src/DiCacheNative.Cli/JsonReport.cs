using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DiCacheNative.Cli;

/// <summary>
/// The JSON that commands print. Built of nodes, not by reflection, so that it also works in a trimmed or natively compiled program.
/// </summary>
internal static class JsonReport
{
    // Numbers that JSON lacks are the strings "NaN", "Infinity" and "-Infinity".
    // Prompts are read by people too: only what JSON must escape is escaped.
    private static readonly JsonSerializerOptions s_options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        WriteIndented = true,
    };

    /// <summary>The text of a report.</summary>
    public static string Text(JsonObject report) => report.ToJsonString(s_options);

    /// <summary>An array with one node for each item.</summary>
    public static JsonArray List<T>(IEnumerable<T> items, Func<T, JsonNode?> node) => [.. items.Select(node)];

    /// <summary>An array of strings.</summary>
    public static JsonArray List(IEnumerable<string> items) => List(items, item => item);
}
