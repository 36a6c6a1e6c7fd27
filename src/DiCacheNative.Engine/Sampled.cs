using DiCacheNative.Caching;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>What is left of a generation when sampling is over.</summary>
/// <param name="Latents">Final latents.</param>
/// <param name="Cache">What the cache did.</param>
/// <param name="Trace">Every decision, when it was kept.</param>
/// <param name="CacheBytes">Bytes of feature maps the cache held.</param>
/// <param name="Flops">Work of a model call.</param>
internal sealed record Sampled(float[] Latents, CacheStats Cache, IReadOnlyList<CacheTraceRow> Trace, long CacheBytes, SegmentFlops Flops);
