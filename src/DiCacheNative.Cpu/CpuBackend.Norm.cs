using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Norms and rotary embedding.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.LayerNormModulate(ActivationType, x, modulation, y);
        LayerNormArguments a = new()
        {
            X = Operand.Of(x),
            Y = Operand.Of(y),
            Norm = NormOf(modulation, epsilon),
            Cols = x.Cols,
            Tasks = RowTasks.Of(x.Batch, x.Rows, x.Cols),
        };
        _team.Run(_kernels.LayerNormModulate, &a, a.Tasks.Count);
    }

    /// <inheritdoc/>
    public void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.QkNormRope(ActivationType, q, k, norm, rope, heads);
        QkNormRopeArguments a = new()
        {
            Q = Operand.Of(q),
            K = Operand.Of(k),
            QueryScale = Operand.Of(norm.Query),
            KeyScale = Operand.Of(norm.Key),
            Cos = Operand.Of(rope.Cos),
            Sin = Operand.Of(rope.Sin),
            QueryPerRow = norm.Query.Cols == q.Cols,
            KeyPerRow = norm.Key.Cols == q.Cols,
            Cols = q.Cols,
            HeadWidth = q.Cols / heads,
            RopeRows = rope.Cos.IsEmpty ? 0 : rope.Cos.Rows,
            Epsilon = norm.Epsilon,
            QueryTasks = RowTasks.Of(q.Batch, q.Rows, q.Cols),
            KeyTasks = RowTasks.Of(k.Batch, k.Rows, q.Cols),
        };
        _team.Run(_kernels.QkNormRope, &a, a.QueryTasks.Count + a.KeyTasks.Count);
    }

    private static NormOperands NormOf(in Modulation modulation, float epsilon) =>
        new(Operand.Of(modulation.Shift), Operand.Of(modulation.Scale), modulation.ScaleOffset, epsilon);
}
