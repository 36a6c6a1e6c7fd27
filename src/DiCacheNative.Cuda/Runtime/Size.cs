using System.Globalization;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>Sizes as people read them.</summary>
internal static class Size
{
    /// <summary>As in "6.4 GB"; decimal units, as device memory is sold.</summary>
    public static string Text(long bytes) => bytes switch
    {
        >= 1_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB"),
        >= 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes:N0} bytes"),
    };
}
