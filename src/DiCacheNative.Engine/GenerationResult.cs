using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>What came out of a generation.</summary>
public sealed class GenerationResult
{
    /// <summary>The images, one per <see cref="GenerationRequest.BatchCount"/>.</summary>
    public required IReadOnlyList<Image> Images { get; init; }

    /// <summary>Decoded values of the images before rounding, in [-1, 1].</summary>
    public required ImagePlanes Planes { get; init; }

    /// <summary>Final latents, packed tokens [B, T, C].</summary>
    public required float[] Latents { get; init; }

    /// <summary>Seed of the first image.</summary>
    public required long Seed { get; init; }

    /// <summary>What the cache did, in model calls.</summary>
    public required CacheStats Cache { get; init; }

    /// <summary>Every decision, when <see cref="GenerationRequest.KeepTrace"/> was set.</summary>
    public required IReadOnlyList<CacheTraceRow> Trace { get; init; }

    /// <summary>Bytes of feature maps the cache held.</summary>
    public required long CacheBytes { get; init; }

    /// <summary>Floating-point operations of one model call by segment; gives the ideal speed-up of the schedule.</summary>
    public required SegmentFlops Flops { get; init; }

    /// <summary>Where the time went.</summary>
    public required GenerationTimes Times { get; init; }
}
