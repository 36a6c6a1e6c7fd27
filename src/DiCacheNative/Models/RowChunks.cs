namespace DiCacheNative.Models;

/// <summary>
/// Runs of rows that a block works through one after another, so that its widest activations (attention output, feed-forward) need room
/// for one run only. Everything but the attention over keys and values is local to a row, so the result does not depend on it.
/// </summary>
internal static class RowChunks
{
    /// <summary>Rows of a run at most: enough to keep any device busy, 250 MB of feed-forward activations at a width of 14 thousand in bf16.</summary>
    public const int MaxRows = 8192;

    // Tiles of matrix products and attention are up to this many rows.
    private const int Tile = 128;

    /// <summary>Rows of every run but the last, which may be shorter: equal parts, in whole tiles.</summary>
    public static int Rows(int total, int max)
    {
        int chunks = ((total - 1) / max) + 1, rows = ((total - 1) / chunks) + 1;
        return chunks == 1 ? total : (rows + Tile - 1) / Tile * Tile;
    }

    /// <summary>The runs, in order.</summary>
    public static (int Start, int Count)[] Split(int total, int max)
    {
        int rows = Rows(total, max);
        return [.. Enumerable.Range(0, ((total - 1) / rows) + 1).Select(i => (i * rows, Math.Min(rows, total - (i * rows))))];
    }
}
