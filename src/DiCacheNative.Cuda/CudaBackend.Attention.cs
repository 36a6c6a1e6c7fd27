using DiCacheNative.Backends;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Attention.</content>
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Attention(ActivationType, q, k, v, o, heads);
        if (!(scale > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(scale), scale, "attention: the scale of the scores must be positive");
        }

        int width = q.Cols / heads;
        bool wide = Wide(width, VectorWidth, q, k, v, o);
        AttentionArgs args = new()
        {
            Q = q,
            K = k,
            V = v,
            O = o,
            QRows = q.Rows,
            KRows = k.Rows,
            HeadWidth = width,
            Scale = scale,
            Wide = AsInt(wide),
        };
        AttentionKernels.Choice kernel = _attention.For(q.Type, width, wide);
        Geometry geometry = new(CeilingLong(q.Rows, kernel.QueriesPerBlock), heads, q.Batch, kernel.Threads, SharedBytes: kernel.SharedBytes);
        Launch(Enter(), kernel.Kernel, geometry, args);
    }
}
