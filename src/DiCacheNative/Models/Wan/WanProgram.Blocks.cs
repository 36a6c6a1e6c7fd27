using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Wan;

/// <content>The block.</content>
public sealed partial class WanProgram
{
    /// <summary>
    /// Self attention over the video, cross attention to the text, feed-forward. Everything after q, k and v is local to a row but for what
    /// it attends to, and is done for one run of rows after another. The stream is read from one place and written to another, so that x0
    /// and p stay untouched where they are needed later.
    /// </summary>
    private void Block(int index, in Tensor xIn, in Tensor xOut, in ResidualExtras extras)
    {
        IBackend b = Backend;
        WanBlockWeights w = _weights.Blocks[index];
        WanBlockModulation m = _modulation[index];
        Tensor x = _a.X;

        foreach ((int start, int count) in _chunks)
        {
            Tensor norm = _a.Norm.SliceRows(0, count);
            b.LayerNormModulate(xIn.SliceRows(start, count), m.Attention, norm, _config.Epsilon);   // [B, R, D]
            b.Linear(norm, w.Qkv, _a.Qkv.SliceRows(start, count));                                  // [B, R, 3 D]
        }

        b.QkNormRope(_q, _k, w.Norm, _a.Rope, _config.Heads);
        foreach ((int start, int count) in _chunks)
        {
            Tensor norm = _a.Norm.SliceRows(0, count), branch = _a.Branch.SliceRows(0, count), attention = _a.Attention.SliceRows(0, count);
            Tensor rows = x.SliceRows(start, count), mlp = _a.Mlp.SliceRows(0, count), queries = _q.SliceRows(start, count);

            SelfAttention(queries, attention);
            b.Linear(attention, w.Out, branch);
            ObserveFirst(index, "self_attn", branch);
            b.GatedResidual(xIn.SliceRows(start, count), branch, m.AttentionGate, rows, Then(w.CrossNorm, norm));
            ObserveFirst(index, "norm3", norm);

            b.Linear(norm, w.CrossQuery, branch);
            b.QkNormRope(branch, default, w.CrossQueryNorm, default, _config.Heads);
            CrossAttention(branch, _a.TextKeyValue[index], attention);
            if (w.Image is not null)
            {
                Tensor image = _a.ImageAttention.SliceRows(0, count);
                CrossAttention(branch, _a.ImageKeyValue[index], image);
                b.GatedResidual(attention, image, default, attention);
            }

            b.Linear(attention, w.CrossOut, branch);
            ObserveFirst(index, "cross_attn", branch);
            b.GatedResidual(rows, branch, default, rows, Then(m.Mlp, norm));

            b.Linear(norm, w.Up, mlp, Epilogue.GeluTanh);                                           // [B, R, F]
            b.Linear(mlp, w.Down, queries);                                                         // nobody asks for these queries any more
            ObserveFirst(index, "ffn", queries);
        }

        b.GatedResidual(x, _q, m.MlpGate, xOut, extras);
        if (Observer is not null)
        {
            Observe($"block.{index}", xOut);
        }
    }

    // Keys end where the padding of their sample begins.
    private void SelfAttention(in Tensor queries, in Tensor into)
    {
        foreach (WanRun run in _runs)
        {
            Tensor k = _k.SliceBatch(run.Start, run.Count).SliceRows(0, run.Tokens), v = _v.SliceBatch(run.Start, run.Count).SliceRows(0, run.Tokens);
            Backend.Attention(queries.SliceBatch(run.Start, run.Count), k, v, into.SliceBatch(run.Start, run.Count), _config.Heads, _softmaxScale);
        }
    }

    private void CrossAttention(in Tensor queries, in Tensor keyValue, in Tensor into)
    {
        Tensor slot = keyValue.SliceBatch(_slot * Batch, Batch);
        Backend.Attention(queries, slot.SliceCols(0, Width), slot.SliceCols(Width, Width), into, _config.Heads, _softmaxScale);
    }

    private ResidualExtras Then(in Modulation modulation, in Tensor norm) => new(new NextNorm(modulation, norm, _config.Epsilon));

    private void ObserveFirst(int index, string part, in Tensor value)
    {
        if (Observer is not null && index == 0 && _chunks.Length == 1)
        {
            Observe("block.0." + part, value);
        }
    }
}

/// <summary>Modulation of a block: six vectors that follow each other in a row.</summary>
internal readonly record struct WanBlockModulation(Modulation Attention, Tensor AttentionGate, Modulation Mlp, Tensor MlpGate)
{
    public WanBlockModulation(in Tensor row, int d)
        : this(
            new Modulation(row.SliceCols(0, d), row.SliceCols(d, d)), row.SliceCols(2 * d, d),
            new Modulation(row.SliceCols(3 * d, d), row.SliceCols(4 * d, d)), row.SliceCols(5 * d, d))
    {
    }
}
