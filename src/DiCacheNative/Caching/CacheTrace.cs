using System.Text.Json;

namespace DiCacheNative.Caching;

/// <summary>Cache decisions as JSON lines, one per model call: {step, branch, sample, sigma, delta_x, delta_y, error, accumulated, decision, gamma_raw, gamma,
/// us}.</summary>
public static class CacheTrace
{
    // A row takes about 250 bytes: room for every step of every sample of the largest request.
    private const int LargestBytes = 64 << 20;

    private const int LargestStep = 1 << 20;

    /// <summary>Writes rows; numbers that JSON lacks are the strings "NaN", "Infinity" and "-Infinity".</summary>
    public static void Write(TextWriter writer, IEnumerable<CacheTraceRow> rows)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(rows);
        foreach (CacheTraceRow row in rows)
        {
            writer.Write(JsonSerializer.Serialize(row, CacheTraceJson.Default.CacheTraceRow));
            writer.Write('\n');
        }
    }

    /// <summary>Reads a file that <see cref="Write"/> made.</summary>
    /// <exception cref="ModelFormatException">
    /// The file is missing, empty, no regular file, larger than 64 MiB, or a line of it is not a row of a trace.
    /// </exception>
    public static IReadOnlyList<CacheTraceRow> Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        List<CacheTraceRow> rows = [];
        ReadOnlySpan<byte> text = InputFile.ReadAll(path, LargestBytes, "a cache trace");
        text = text.StartsWith("\uFEFF"u8) ? text[3..] : text;
        int number = 0;
        foreach (Range range in text.Split((byte)'\n'))
        {
            number++;
            ReadOnlySpan<byte> line = text[range].Trim(" \t\r"u8);
            if (line.IsEmpty)
            {
                continue;
            }

            try
            {
                CacheTraceRow? row = JsonSerializer.Deserialize(line, CacheTraceJson.Default.CacheTraceRow);
                bool possible = row is { Step: >= 0 and < LargestStep, Branch: >= 0, Sample: >= -1 } && Enum.IsDefined(row.Decision);
                rows.Add(possible ? row! : throw new JsonException("a number in it is impossible"));
            }
            catch (Exception e) when (e is JsonException or NotSupportedException or InvalidOperationException)
            {
                throw new ModelFormatException($"line {number} of the cache trace {path} is not a row of a recorded trace", e);
            }
        }

        return rows;
    }
}
