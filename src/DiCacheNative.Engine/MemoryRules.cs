using DiCacheNative.Backends;
using DiCacheNative.Models;

namespace DiCacheNative;

/// <summary>Compares what a generation will take with what is free, before any of it is allocated.</summary>
/// <param name="backend">Where the transformer runs.</param>
/// <param name="freeHost">Tells the host memory that is free; null to ask the system.</param>
internal sealed class MemoryRules(IBackend backend, Func<long>? freeHost)
{
    private const int FloatsPerFeature = 32;

    private long FreeHost => freeHost?.Invoke() ?? HostMemory.AvailableBytes;

    /// <summary>What the text encoders take: an estimate, see <see cref="MemoryPlan"/>.</summary>
    public static long TextBytes(int tokens, int width) => (long)sizeof(float) * FloatsPerFeature * tokens * width;

    /// <summary>Refuses graphs that do not fit into what is free, before the first of them is loaded: they take at least the size of their files.</summary>
    /// <param name="freeHost">Tells the host memory that is free; null to ask the system.</param>
    /// <param name="folder">The pipeline.</param>
    /// <param name="parts">Folders of the graphs in it.</param>
    /// <exception cref="BackendException">They do not fit.</exception>
    public static void RequireGraphs(Func<long>? freeHost, string folder, params ReadOnlySpan<string> parts)
    {
        long needed = 0, free = freeHost?.Invoke() ?? HostMemory.AvailableBytes;
        foreach (string part in parts)
        {
            DirectoryInfo files = new(Path.Combine(folder, part));
            needed += files.Exists ? files.EnumerateFiles().Sum(f => f.Length) : 0;
        }

        if (needed > free)
        {
            throw new BackendException(
                $"not enough memory for text encoders and decoder of {folder}: their files have {MemoryPlan.Text(needed)}, "
                + $"and {MemoryPlan.Text(free)} of memory are free; choose a smaller model or free memory");
        }
    }

    /// <summary>Whether decoding fits into what is free.</summary>
    public bool DecodingFits(MemoryPlan plan) => plan.DecodingBytes <= FreeHost;

    /// <summary>Refuses a generation that does not fit.</summary>
    /// <param name="plan">What it takes.</param>
    /// <param name="what">What is generated, as in "an image of 128x128 pixels".</param>
    /// <exception cref="BackendException">It does not fit: says what needs how much, what is free, and what to lower.</exception>
    public void Require(MemoryPlan plan, string what)
    {
        if (backend.HasOwnMemory && backend.AvailableBytes is var free && plan.SamplingBytes > free)
        {
            throw Refusal(plan, what, $"{MemoryPlan.Text(free)} of device memory are free");
        }

        long host = FreeHost, needed = Math.Max(Math.Max(plan.TextBytes, plan.DecodingBytes), backend.HasOwnMemory ? 0 : plan.SamplingBytes);
        if (needed > host)
        {
            throw Refusal(plan, what, $"{MemoryPlan.Text(host)} of memory are free");
        }
    }

    private static BackendException Refusal(MemoryPlan plan, string what, string free) => new(
        $"not enough memory for {what}: sampling takes {MemoryPlan.Text(plan.SamplingBytes)} (activations {MemoryPlan.Text(plan.ActivationBytes)}, cache "
            + $"{MemoryPlan.Text(plan.CacheBytes)}), "
        + $"decoding after it about {MemoryPlan.Text(plan.DecodingBytes)} (decoder {MemoryPlan.Text(plan.DecoderBytes)}, result "
            + $"{MemoryPlan.Text(plan.ResultBytes)}), but {free}; "
        + "ask for a smaller size, fewer frames or a smaller batch");
}
