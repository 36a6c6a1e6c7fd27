using System.Globalization;
using System.Text;

namespace DiCacheNative.Text;

/// <summary>Unicode's normalization forms.</summary>
internal enum NormalForm
{
    Nfc,
    Nfd,
    Nfkc,
    Nfkd,
}

/// <summary>
/// Brings text into a normalization form (Unicode Standard Annex 15) from tables of its own: <see cref="string.Normalize()"/> does
/// nothing in programs built with InvariantGlobalization, and token ids must not depend on that.
/// </summary>
internal static class UnicodeNormalization
{
    // Hangul syllables are composed and decomposed by arithmetic (The Unicode Standard, section 3.12).
    private const int SBase = 0xAC00, LBase = 0x1100, VBase = 0x1161, TBase = 0x11A7;
    private const int LCount = 19, VCount = 21, TCount = 28, SCount = LCount * VCount * TCount;

    private static readonly Lazy<Tables> Data = new(Tables.Load);

    public static string Normalize(string text, NormalForm form)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }

        var points = new List<int>(text.Length);
        bool compatibility = form is NormalForm.Nfkc or NormalForm.Nfkd;
        foreach (Rune rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, compatibility, points);
        }

        Reorder(points);
        if (form is NormalForm.Nfc or NormalForm.Nfkc)
        {
            Compose(points);
        }

        var result = new StringBuilder(points.Count);
        foreach (int point in points)
        {
            result.Append(new Rune(point));
        }

        return result.ToString();
    }

    private static void Decompose(int point, bool compatibility, List<int> into)
    {
        int syllable = point - SBase;
        if (syllable is >= 0 and < SCount)
        {
            into.Add(LBase + (syllable / (VCount * TCount)));
            into.Add(VBase + (syllable / TCount % VCount));
            if (syllable % TCount != 0)
            {
                into.Add(TBase + (syllable % TCount));
            }
        }
        else if (Data.Value.Mappings.TryGetValue(point, out (int[] Points, bool Compatibility) mapping)
            && (compatibility || !mapping.Compatibility))
        {
            foreach (int part in mapping.Points)
            {
                Decompose(part, compatibility, into);
            }
        }
        else
        {
            into.Add(point);
        }
    }

    // Marks that follow one base are sorted by class; the sort is stable, so marks of one class keep their order.
    private static void Reorder(List<int> points)
    {
        for (int start = 0; start < points.Count; start++)
        {
            int end = start;
            while (end < points.Count && Class(points[end]) != 0)
            {
                end++;
            }

            if (end - start > 1)
            {
                int[] sorted = [.. points.GetRange(start, end - start).OrderBy(Class)];
                for (int i = 0; i < sorted.Length; i++)
                {
                    points[start + i] = sorted[i];
                }
            }

            start = end;
        }
    }

    private static void Compose(List<int> points)
    {
        int starter = -1;
        int count = 0;
        int lastClass = -1;
        for (int i = 0; i < points.Count; i++)
        {
            int point = points[i];
            int combining = Class(point);

            // A mark is blocked from its starter by a mark of the same or a higher class between them.
            bool blocked = lastClass != -1 && lastClass >= combining;
            if (starter >= 0 && !blocked && Pair(points[starter], point) is { } composite)
            {
                points[starter] = composite;
                continue;
            }

            if (combining == 0)
            {
                (starter, lastClass) = (count, -1);
            }
            else
            {
                lastClass = combining;
            }

            points[count++] = point;
        }

        points.RemoveRange(count, points.Count - count);
    }

    private static int? Pair(int first, int second)
    {
        int lead = first - LBase;
        int vowel = second - VBase;
        if (lead is >= 0 and < LCount && vowel is >= 0 and < VCount)
        {
            return SBase + (((lead * VCount) + vowel) * TCount);
        }

        int syllable = first - SBase;
        int tail = second - TBase;
        if (syllable is >= 0 and < SCount && syllable % TCount == 0 && tail is > 0 and < TCount)
        {
            return first + tail;
        }

        return Data.Value.Composites.TryGetValue((first, second), out int composite) ? composite : null;
    }

    private static int Class(int point) => Data.Value.Classes.GetValueOrDefault(point);

    private sealed class Tables
    {
        public Dictionary<int, (int[] Points, bool Compatibility)> Mappings { get; } = [];

        public Dictionary<(int First, int Second), int> Composites { get; } = [];

        public Dictionary<int, byte> Classes { get; } = [];

        public static Tables Load()
        {
            var tables = new Tables();
            using Stream stream = typeof(UnicodeNormalization).Assembly.GetManifestResourceStream("UnicodeDecompositions.txt")!;
            using var reader = new StreamReader(stream);
            while (reader.ReadLine() is { } line)
            {
                if (!line.StartsWith('#'))
                {
                    tables.Add(line.Split(' '));
                }
            }

            return tables;
        }

        private void Add(string[] fields)
        {
            int point = Hex(fields[0]);
            int next = 1;
            if (char.IsAsciiDigit(fields[next][0]))
            {
                Classes[point] = byte.Parse(fields[next++], CultureInfo.InvariantCulture);
            }

            if (next < fields.Length)
            {
                string kind = fields[next];
                int[] mapping = Array.ConvertAll(fields[(next + 1)..], Hex);
                Mappings[point] = (mapping, kind == "~");
                if (kind == "=")
                {
                    Composites[(mapping[0], mapping[1])] = point;
                }
            }
        }

        private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
    }
}
