using System.Text.Json;

namespace DiCacheNative.Caching;

/// <summary>Cache decisions as JSON lines, one per model call: {step, branch, sample, sigma, delta_x, delta_y, error, accumulated, decision, gamma_raw, gamma, us}.</summary>
public static class CacheTrace
{
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
    /// <exception cref="ModelFormatException">The file is missing, or a line of it is not a row of a trace.</exception>
    public static IReadOnlyList<CacheTraceRow> Read(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        List<CacheTraceRow> rows = [];
        try
        {
            foreach (string line in File.ReadLines(path))
            {
                if (!string.IsNullOrWhiteSpace(line))
                {
                    rows.Add(JsonSerializer.Deserialize(line, CacheTraceJson.Default.CacheTraceRow) ?? throw new JsonException("null"));
                }
            }
        }
        catch (Exception e) when (e is JsonException or NotSupportedException)
        {
            throw new ModelFormatException($"line {rows.Count + 1} of the cache trace {path} is not a trace row; write one with --cache-trace", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFormatException($"the cache trace {path} cannot be read: {e.Message}", e);
        }

        return rows;
    }
}
