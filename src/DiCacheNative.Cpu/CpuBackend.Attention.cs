using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Attention.</content>
public sealed unsafe partial class CpuBackend
{
    private const float Log2E = 1.44269504f;

    /// <inheritdoc/>
    public void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Attention(ActivationType, q, k, v, o, heads);
        AttentionArguments a = new()
        {
            Q = Operand.Of(q),
            K = Operand.Of(k),
            V = Operand.Of(v),
            O = Operand.Of(o),
            Batch = q.Batch,
            Heads = heads,
            HeadWidth = q.Cols / heads,
            QueryRows = q.Rows,
            KeyRows = k.Rows,
            Factor = scale * Log2E,
            ValueWidth = 2 * _kernels.Width,
            KeyWidth = 3 * _kernels.Width,
        };
        a.PaddedWidth = (a.HeadWidth + a.ValueWidth - 1) / a.ValueWidth * a.ValueWidth;
        a.PaddedKeys = (a.KeyRows + a.KeyWidth - 1) / a.KeyWidth * a.KeyWidth;
        int pairs = q.Batch * heads, perRun = a.PairsPerRun;
        lock (_gate)
        {
            a.ScratchPerWorker = a.ScratchBytes(_kernels.TileRows);
            a.Scratch = WorkerScratch(a.ScratchPerWorker);
            a.Packed = (float*)_sharedScratch.Ensure(perRun * a.PairFloats * sizeof(float));
            for (int first = 0; first < pairs; first += perRun)
            {
                a.FirstPair = first;
                a.Pairs = Math.Min(perRun, pairs - first);
                _team.Run(_kernels.PackAttention, &a, a.Pairs * a.KeyBlocks);
                _team.Run(_kernels.Attend, &a, a.Pairs * a.QueryBlocks);
            }
        }
    }
}
