using DiCacheNative.Backends;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Norms and rotary embedding.</content>
public sealed unsafe partial class CudaBackend
{
    /// <summary>A warp per head, at most eight warps; kMaxThreads in kernels/qk_norm_rope.cu.</summary>
    private const int MostHeadWarps = 8;

    /// <inheritdoc/>
    public void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.LayerNormModulate(ActivationType, x, modulation, y);
        Geometry geometry = RowPerBlock("layer_norm_modulate", x);
        LayerNormModulateArgs args = new()
        {
            X = x,
            Y = y,
            Modulation = ModulationOf(modulation, epsilon),
            Cols = x.Cols,
            Wide = AsInt(Wide(x.Cols, VectorWidth, x, y, modulation.Shift, modulation.Scale)),
        };
        Launch(Enter(), _families.LayerNormModulate.For(x.Type, y.Type), geometry, args);
    }

    /// <inheritdoc/>
    public void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.QkNormRope(ActivationType, q, k, norm, rope, heads);
        int width = q.Cols / heads;
        bool keys = !k.IsEmpty;
        QkNormRopeArgs args = new()
        {
            Q = q,
            K = k,
            QScale = norm.Query.Data,
            KScale = keys ? norm.Key.Data : 0,
            Cos = rope.Cos,
            Sin = rope.Sin,
            QRows = q.Rows,
            KRows = k.Rows,
            Heads = heads,
            HeadWidth = width,
            TableRows = rope.Cos.Rows,
            QNormOverRow = AsInt(norm.Query.Cols == q.Cols),
            KNormOverRow = AsInt(keys && norm.Key.Cols == k.Cols),
            Epsilon = norm.Epsilon,
            Wide = AsInt(Wide(width, 4, q, k, norm.Query, keys ? norm.Key : default)),
        };
        Geometry geometry = new(Math.Max(q.Rows, k.Rows), keys ? 2 : 1, q.Batch, 32 * Math.Min(heads, MostHeadWarps));
        Launch(Enter(), _families.QkNormRope.For(q.Type), geometry, args);
    }

    private static ModulationArgs ModulationOf(in Modulation modulation, float epsilon) =>
        new() { Shift = modulation.Shift, Scale = modulation.Scale, Offset = modulation.ScaleOffset, Epsilon = epsilon };
}
