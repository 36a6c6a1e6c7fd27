using System.Globalization;
using System.Text.RegularExpressions;

namespace DiCacheNative.Weights;

/// <summary>Finds the checkpoint in a folder among all that may lie beside it.</summary>
internal static partial class CheckpointFolder
{
    private const string FileSuffix = ".safetensors";
    private const string IndexSuffix = FileSuffix + ".index.json";

    // Checkpoints of today have a few dozen parts.
    private const int MostParts = 9999;

    /// <summary>The files of the checkpoint in a folder: its index alone, its only file, or its numbered parts in order.</summary>
    /// <exception cref="ModelFormatException">There is none, there are several, or a part is missing.</exception>
    public static IReadOnlyList<string> Find(string folder)
    {
        List<Candidate> all = Candidates(folder);

        // An index says which of the files beside it belong together, so it goes before files of its name.
        HashSet<string> indexed = [.. all.Where(c => c.IsIndex).Select(c => c.Stem)];
        all.RemoveAll(c => !c.IsIndex && indexed.Contains(c.Stem));

        // "model.fp16" is a variant of "model".
        HashSet<string> stems = [.. all.Select(c => c.Stem)];
        List<Candidate> plain = all.FindAll(c => !Prefixes(c.Stem).Any(stems.Contains));
        List<Candidate> chosen = plain.Exists(c => c.IsIndex) ? plain.FindAll(c => c.IsIndex) : plain;
        return chosen.Count switch
        {
            1 => chosen[0].Paths(folder),
            0 => throw new ModelFormatException(folder, $"the directory holds no {FileSuffix} file and no {IndexSuffix}"),
            _ => throw new ModelFormatException(
                folder, $"the directory holds several checkpoints, name one of them: "
                    + $"{Listing.Of([.. chosen.Select(c => c.Name).Order(StringComparer.Ordinal)])}"),
        };
    }

    /// <summary>A file, and where it is one of several numbered ones, all of them, or their index.</summary>
    /// <exception cref="ModelFormatException">A part is missing.</exception>
    public static IReadOnlyList<string> WithSiblings(string path)
    {
        string name = Path.GetFileName(path);
        if (PartName().Match(name) is not { Success: true } part || !File.Exists(path))
        {
            return [path];
        }

        string folder = Path.GetDirectoryName(path) is { Length: > 0 } parent ? parent : ".";
        string stem = part.Groups["stem"].Value;
        return Candidates(folder) is var all && all.Find(c => c.IsIndex && c.Stem == stem) is { } index ? index.Paths(folder)
            : all.Find(c => !c.IsIndex && c.Stem == stem && c.Parts.Contains(name)) is { } parts ? parts.Paths(folder)
            : [path];
    }

    private static List<Candidate> Candidates(string folder)
    {
        string[] files;
        try
        {
            files = Directory.GetFiles(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException(folder, $"the directory cannot be read: {e.Message}", e);
        }

        List<Candidate> candidates = [];
        Dictionary<(string Stem, int Count), List<string>> parts = [];
        foreach (string name in files.Select(f => Path.GetFileName(f)).Where(n => !n.StartsWith('.')).Order(StringComparer.Ordinal))
        {
            if (IndexName().Match(name) is { Success: true } index)
            {
                // diffusers puts the variant's name behind the rest: model.safetensors.index.fp16.json.
                candidates.Add(new Candidate(index.Groups["stem"].Value + index.Groups["variant"].Value, name, [name], true));
            }
            else if (PartName().Match(name) is { Success: true } part)
            {
                (string, int) key = (part.Groups["stem"].Value, int.Parse(part.Groups["count"].ValueSpan, CultureInfo.InvariantCulture));
                if (!parts.TryGetValue(key, out List<string>? list))
                {
                    parts.Add(key, list = []);
                }

                list.Add(name);
            }
            else if (name.EndsWith(FileSuffix, StringComparison.Ordinal))
            {
                candidates.Add(new Candidate(name[..^FileSuffix.Length], name, [name], false));
            }
        }

        candidates.AddRange(parts.Select(p => new Candidate(p.Key.Stem, p.Value[0], p.Value, false) { Count = p.Key.Count }));
        return candidates;
    }

    // "a.b.c" begins with "a.b" and "a".
    private static IEnumerable<string> Prefixes(string stem)
    {
        for (int dot = stem.LastIndexOf('.'); dot > 0; dot = stem.LastIndexOf('.', dot - 1))
        {
            yield return stem[..dot];
        }
    }

    [GeneratedRegex(@"^(?<stem>.+)\.safetensors\.index(?<variant>\.[^.]+)?\.json\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex IndexName();

    [GeneratedRegex(@"^(?<stem>.+)-(?<number>[0-9]{5})-of-(?<count>[0-9]{5})\.safetensors\z", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex PartName();

    /// <summary>Something in a folder that may be a checkpoint.</summary>
    /// <param name="Stem">Its name without number and suffix.</param>
    /// <param name="Name">Its first file.</param>
    /// <param name="Parts">Its files.</param>
    /// <param name="IsIndex">Whether it is an index.</param>
    private sealed record Candidate(string Stem, string Name, IReadOnlyList<string> Parts, bool IsIndex)
    {
        /// <summary>How many parts there should be.</summary>
        public int Count { get; init; } = 1;

        public IReadOnlyList<string> Paths(string folder)
        {
            bool complete = Count is >= 1 and <= MostParts && Parts.Count == Count
                && (Parts.Count == 1 || Enumerable.Range(1, Count).All(i => Parts[i - 1] == $"{Stem}-{i:00000}-of-{Count:00000}{FileSuffix}"));
            return complete ? [.. Parts.Select(p => Path.Combine(folder, p))] : throw new ModelFormatException(
                folder, $"the checkpoint {Name} has {Count} parts, of which {Parts.Count} {(Parts.Count == 1 ? "is" : "are")} here, and no "
                    + $"{Stem}{IndexSuffix}: "
                + "download the missing files");
        }
    }
}
