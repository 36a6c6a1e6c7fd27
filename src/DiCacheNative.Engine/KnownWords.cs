using System.Text.RegularExpressions;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>
/// The words that a small model was trained on, from <c>known_words.json</c> in its folder: <c>{ "known_words": ["a", "red", ...] }</c>. Any model folder may
/// have the file; a model without it knows words beyond counting.
/// </summary>
internal sealed partial class KnownWords
{
    private const string File = "known_words.json";
    private const int MostNamed = 5;

    private readonly HashSet<string> _words;

    private KnownWords(IEnumerable<string> words) => _words = new HashSet<string>(words, StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads the file of a folder; null when there is none.</summary>
    /// <exception cref="ModelFormatException">It is broken, or empty.</exception>
    public static KnownWords? Read(string folder)
    {
        string path = Path.Combine(folder, File);
        if (!System.IO.File.Exists(path))
        {
            return null;
        }

        IReadOnlyList<string> words = ModelJson.Read(path).Strings("known_words", []);
        return words.Count > 0 ? new KnownWords(words) : throw new ModelFormatException(path, "\"known_words\" must be a list of at least one word");
    }

    /// <summary>A sentence about the words of a prompt that the model does not know; null when it knows all.</summary>
    public string? Problem(string prompt)
    {
        string[] unknown = [.. Words().Matches(prompt).Select(m => m.Value).Where(w => !_words.Contains(w)).Distinct(StringComparer.OrdinalIgnoreCase)];
        if (unknown.Length == 0)
        {
            return null;
        }

        string named = string.Join(", ", unknown.Take(MostNamed).Select(w => $"\"{GenerationNotes.Shorten(w)}\"")), more = unknown.Length > MostNamed
            ? $" and {unknown.Length - MostNamed} more" : string.Empty;
        return $"this model was trained on {_words.Count} words and does not know {named}{more}: unknown words are ignored at best and turn the result into "
            + $"noise at worst ({File} lists what it knows)";
    }

    [GeneratedRegex(@"[\p{L}\p{M}\p{N}]+")]
    private static partial Regex Words();
}
