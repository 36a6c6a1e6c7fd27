namespace DiCacheNative.Models;

/// <summary>
/// Sizes beyond which a number in a configuration is a mistake or an attack and not a model. They lie an order of magnitude above released
/// models, and low enough that products of them, such as the rows of a block's modulation, fit into an int.
/// </summary>
internal static class ModelLimits
{
    /// <summary>Blocks of one kind, and of all kinds together.</summary>
    public const int Blocks = 4096;

    /// <summary>Attention heads.</summary>
    public const int Heads = 1024;

    /// <summary>Width of a head.</summary>
    public const int HeadWidth = 256;

    /// <summary>Model width D, widths of embeddings, channels.</summary>
    public const int Width = 1 << 16;

    /// <summary>Width of the feed-forward layers.</summary>
    public const int MlpWidth = 1 << 20;

    /// <summary>Elements of the modulations of one step.</summary>
    public const long Modulation = int.MaxValue / 2;

    /// <summary>Whether a size lies in [1, limit].</summary>
    public static bool Holds(int limit, params ReadOnlySpan<int> sizes)
    {
        foreach (int size in sizes)
        {
            if (size < 1 || size > limit)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether rotary axes are three even positive numbers that sum up to a head width.</summary>
    public static bool AreAxes(IReadOnlyList<int> axes, int headWidth) =>
        axes.Count == 3 && axes.All(a => a > 0 && a % 2 == 0) && axes.Sum(a => (long)a) == headWidth;

    /// <summary>Axes, or the first of them, for a message.</summary>
    public static string Text(IReadOnlyList<int> axes) => string.Join("/", axes.Take(4)) + (axes.Count > 4 ? "/…" : string.Empty);
}
