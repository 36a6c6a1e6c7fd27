using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>Memory that a model takes for a shape and a cache, told before anything is allocated.</summary>
/// <param name="Parameters">Number of parameters.</param>
/// <param name="WeightBytes">Weights: matrices in the type asked for, vectors in F32.</param>
/// <param name="ActivationBytes">Everything a program allocates.</param>
/// <param name="CacheBytes">Feature maps of the cache, the embedded input included.</param>
public sealed record MemoryPlan(long Parameters, long WeightBytes, long ActivationBytes, long CacheBytes)
{
    /// <summary>All of it.</summary>
    public long TotalBytes => WeightBytes + ActivationBytes + CacheBytes;

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
        long parameters = 0, weightBytes = 0;
        takeAll((name, shape) =>
        {
            long count = shape.Aggregate(1L, (a, b) => checked(a * b));
            parameters += count;

            // Vectors and modulation tables stay in F32.
            weightBytes += count * (shape.Length is 2 or 5 ? type : DType.F32).Size();
            return new HostTensor(name, 0, DType.BF16, shape);
        });
        Arena arena = Arena.Measure();
        layActivations(arena);
        return new MemoryPlan(parameters, weightBytes, arena.Used, DiTSession.PlanCacheBytes(features, policy, options));
    }
}
