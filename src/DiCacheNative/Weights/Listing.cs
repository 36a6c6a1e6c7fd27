namespace DiCacheNative.Weights;

/// <summary>Lists for error messages, cut at a length a person reads.</summary>
internal static class Listing
{
    /// <summary>Entries that are shown.</summary>
    internal const int Shown = 8;

    private const int LongestName = 120;

    /// <summary>The first eight entries, and how many more there are.</summary>
    internal static string Of(IReadOnlyCollection<string?> entries) => Of(entries.Take(Shown), entries.Count);

    /// <summary>Entries, and how many more there are.</summary>
    /// <param name="first">The first <see cref="Shown"/> of them, or all.</param>
    /// <param name="count">How many there are in all.</param>
    internal static string Of(IEnumerable<string?> first, int count)
    {
        string text = string.Join(", ", first.Select(e => Cut(e ?? string.Empty)));
        return count > Shown ? $"{text} and {count - Shown} more" : text;
    }

    /// <summary>A name in quotes, cut at 120 characters.</summary>
    internal static string Quoted(string name) => $"'{Cut(name)}'";

    private static string Cut(string name) => name.Length > LongestName ? name[..LongestName] + "…" : name;
}
