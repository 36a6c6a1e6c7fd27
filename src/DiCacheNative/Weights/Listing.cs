namespace DiCacheNative.Weights;

/// <summary>Lists for error messages, cut at a length a person reads.</summary>
internal static class Listing
{
    private const int Shown = 8;

    /// <summary>The first eight entries, and how many more there are.</summary>
    internal static string Of(IEnumerable<string?> entries)
    {
        List<string?> all = [.. entries];
        string text = string.Join(", ", all.Take(Shown));
        return all.Count > Shown ? $"{text} and {all.Count - Shown} more" : text;
    }
}
