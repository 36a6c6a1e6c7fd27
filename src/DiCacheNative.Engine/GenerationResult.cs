using DiCacheNative.Caching;
using DiCacheNative.Imaging;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>What came out of a generation.</summary>
/// <remarks>It belongs to the caller, with all its arrays: the engine keeps none of them, and Dispose of the engine frees none.</remarks>
public sealed class GenerationResult
{
    /// <summary>The images, one per <see cref="GenerationRequest.BatchCount"/>; or the frames of the video, in order.</summary>
    public required IReadOnlyList<Image> Images { get; init; }

    /// <summary>Decoded values of <see cref="Images"/> before rounding, in [-1, 1].</summary>
    public required ImagePlanes Planes { get; init; }

    /// <summary>Final latents: packed tokens [B, T, C] of images, [C, f, h, w] of a video.</summary>
    public required float[] Latents { get; init; }

    /// <summary>Frames of the video; 1 for images.</summary>
    public int Frames => Fps > 0 ? Images.Count : 1;

    /// <summary>Frames per second that the model was trained for; 0 for images.</summary>
    public double Fps { get; init; }

    /// <summary>
    /// The request as it was run: with the model's own settings, and the seed drawn, where it left them open; without the settings that had no effect.
    /// </summary>
    public required GenerationRequest Request { get; init; }

    /// <summary>Seed of the video or of the first image.</summary>
    public ulong Seed => Request.Seed!.Value;

    /// <summary>
    /// What the caller should know, one sentence each: a setting without effect, a prompt that was cut, a cache that never engaged.
    /// <see cref="EngineOptions.Log"/> got the same sentences while the generation ran.
    /// </summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>What the cache did, in model calls.</summary>
    public required CacheStats Cache { get; init; }

    /// <summary>Every decision, when <see cref="GenerationRequest.KeepTrace"/> was set.</summary>
    public required IReadOnlyList<CacheTraceRow> Trace { get; init; }

    /// <summary>Bytes of feature maps the cache held.</summary>
    public required long CacheBytes { get; init; }

    /// <summary>Floating-point operations of one model call by segment; gives the ideal speed-up of the schedule.</summary>
    public required SegmentFlops Flops { get; init; }

    /// <summary>Tokens of the prompt, given and used, for each text encoder.</summary>
    public required IReadOnlyList<PromptTokens> PromptTokens { get; init; }

    /// <summary>Where the time went.</summary>
    public required GenerationTimes Times { get; init; }

    /// <summary>Seed of an image of a batch: that of the request plus its index, modulo 2^64.</summary>
    /// <param name="image">Index of the image, from 0.</param>
    public ulong SeedOf(int image) => SeedOf(Seed, image);

    /// <summary>Seed of an image of a batch.</summary>
    internal static ulong SeedOf(ulong seed, int image) => unchecked(seed + (ulong)image);
}
