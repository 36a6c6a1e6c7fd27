using System.Globalization;
using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>
/// Memory that a model takes for a shape and a cache, told before anything is allocated. A pipeline adds what its text encoders and its decoder take.
/// </summary>
/// <remarks>
/// Weights, activations and cache are counted exactly. Text encoders and decoder are graphs that tell nothing of their memory; theirs is estimated. Text
/// encoders: 32 numbers of 4 bytes for each feature of each token. Decoder: bytes per pixel as the folder's vae/config.json gives them
/// ("decoder_bytes_per_pixel", measured), or 8 (c + c'), where c and c' are the two smallest of its channel counts: near the end it holds two maps of each at
/// full size. Measured with the embedded image decoder (c = 24, c' = 40: 512): 465 bytes per pixel between 512 and 1024 pixels a side and 605 between 1024 and
/// 2048, the decoded picture and its copies included.
/// </remarks>
/// <param name="Parameters">Number of parameters.</param>
/// <param name="WeightBytes">Weights: matrices in the type asked for, vectors in F32.</param>
/// <param name="ActivationBytes">Everything a program allocates.</param>
/// <param name="CacheBytes">Feature maps of the cache, the embedded input included.</param>
public sealed record MemoryPlan(long Parameters, long WeightBytes, long ActivationBytes, long CacheBytes)
{
    /// <summary>Working memory of the text encoders; an estimate.</summary>
    public long TextBytes { get; init; }

    /// <summary>Working memory of the decoder; an estimate.</summary>
    public long DecoderBytes { get; init; }

    /// <summary>Latents, decoded values and pictures.</summary>
    public long ResultBytes { get; init; }

    /// <summary>What the transformer takes: weights, activations and cache.</summary>
    public long TotalBytes => WeightBytes + ActivationBytes + CacheBytes;

    /// <summary>What sampling takes beside the weights.</summary>
    public long SamplingBytes => ActivationBytes + CacheBytes;

    /// <summary>What decoding takes: sampling is over and its memory free again.</summary>
    public long DecodingBytes => DecoderBytes + ResultBytes;

    /// <summary>A number of bytes as people read it, as in "6.4 GB".</summary>
    internal static string Text(long bytes) => bytes >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB")
            : string.Create(CultureInfo.InvariantCulture, $"{Math.Ceiling(bytes / 1e6):0} MB");

    /// <summary>Refuses weights that do not fit into what is free, before the first of them is read.</summary>
    /// <param name="backend">Where they go.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="takeAll">Touches every tensor of the model once, through the reader given.</param>
    /// <exception cref="BackendException">They do not fit.</exception>
    internal static void RequireWeights(IBackend backend, string path, Action<TensorReader> takeAll)
    {
        (long needed, long free) = (Weights(takeAll, backend.WeightType).Bytes, backend.AvailableBytes);
        if (needed > free)
        {
            throw new BackendException(
                $"not enough memory for the weights of {path}: they take {Text(needed)} on the {backend.Name} backend, and {Text(free)} are free; choose a "
                    + $"smaller model or free memory");
        }
    }

    /// <summary>Counts what a model takes from its checkpoint.</summary>
    /// <param name="takeAll">Touches every tensor of the model once, through the reader given.</param>
    /// <param name="type">Type of activations and matrices.</param>
    /// <param name="layActivations">Takes the activations from an arena.</param>
    /// <param name="features">Feature maps of the cache.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches and samples.</param>
    internal static MemoryPlan Of(
        Action<TensorReader> takeAll, DType type, Action<Arena> layActivations, in FeatureShape features, ICachePolicy policy, SessionOptions options)
    {
        (long parameters, long weightBytes) = Weights(takeAll, type);
        Arena arena = Arena.Measure();
        layActivations(arena);
        return new MemoryPlan(parameters, weightBytes, arena.Used, DiTSession.PlanCacheBytes(features, policy, options));
    }

    private static (long Parameters, long Bytes) Weights(Action<TensorReader> takeAll, DType type)
    {
        long parameters = 0, bytes = 0;
        takeAll((name, shape) =>
        {
            long count = shape.Aggregate(1L, (a, b) => checked(a * b));
            parameters += count;

            // Vectors and modulation tables stay in F32.
            bytes += count * (shape.Length is 2 or 5 ? type : DType.F32).Size();
            return new HostTensor(name, 0, DType.BF16, shape);
        });
        return (parameters, bytes);
    }
}
