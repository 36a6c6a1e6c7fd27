using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>The residual stream and element-wise operations.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.GatedResidual(ActivationType, x, y, gate, into, extras);
        ResidualArguments a = new()
        {
            X = Operand.Of(x),
            Y = Operand.Of(y),
            Gate = Operand.Of(gate),
            Into = Operand.Of(into),
            Origin = Operand.Of(extras.ResidualOrigin),
            Residual = Operand.Of(extras.Residual),
            NormOutput = Operand.Of(extras.Norm.Output),
            Norm = NormOf(extras.Norm.Modulation, extras.Norm.Epsilon),
            Probe = ProbeOperands.Of(extras.Probe),
            Cols = x.Cols,
            Tasks = RowTasks.Of(x.Batch, x.Rows, x.Cols),
        };
        lock (_gate)
        {
            a.RowSums = extras.ProbeSums.IsEmpty ? null : RowSums(a.Tasks.Total);
            _team.Run(_kernels.GatedResidual, &a, a.Tasks.Count);
            if (!extras.ProbeSums.IsEmpty)
            {
                AddRowSums(a.RowSums, a.Tasks.Total, extras.ProbeSums);
            }
        }
    }

    /// <inheritdoc/>
    public void Subtract(in Tensor a, in Tensor b, in Tensor into)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Subtract(ActivationType, a, b, into);
        RunElements(ElementOp.Subtract, Operand.Of(a), Operand.Of(b), 0, Operand.Of(into), into);
    }

    /// <inheritdoc/>
    public void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Activate(x, y);
        ActivateArguments a = new() { Activation = activation, Cols = x.Cols, Tasks = RowTasks.Of(x.Batch, x.Rows, x.Cols) };
        if (x.Type == DType.F32)
        {
            a.X = Operand.Of(x);
        }
        else
        {
            a.X16 = new Rows16(x.Data, x.BatchStride, x.RowStride);
        }

        if (y.Type == DType.F32)
        {
            a.Y = Operand.Of(y);
        }
        else
        {
            a.Y16 = new Rows16(y.Data, y.BatchStride, y.RowStride);
        }

        _team.Run(_kernels.Activate, &a, a.Tasks.Count);
    }

    /// <inheritdoc/>
    public void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.EulerStep(ActivationType, x, velocity, dt);
        RunElements(ElementOp.AddScaled, Operand.Of(x), Operand.Of(velocity), *(float*)dt.Data, Operand.Of(x), x);
    }

    /// <inheritdoc/>
    public void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Guide(ActivationType, cond, uncond, scale, into);
        RunElements(ElementOp.Guide, Operand.Of(cond), Operand.Of(uncond), *(float*)scale.Data, Operand.Of(into), into);
    }

    /// <inheritdoc/>
    public void MeanRows(in Tensor x, in Tensor y)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.MeanRows(ActivationType, x, y);
        const int columns = ElementKernels<Simd.Lanes1, float, double>.MeanColumns;
        MeanArguments a = new()
        {
            X = Operand.Of(x),
            Y = Operand.Of(y),
            Rows = x.Rows,
            Cols = x.Cols,
            ColumnBlocks = (x.Cols + columns - 1) / columns,
        };
        _team.Run(_kernels.MeanRows, &a, x.Batch * a.ColumnBlocks);
    }

    private void RunElements(ElementOp op, Operand a, Operand b, float factor, Operand into, in Tensor shape)
    {
        ElementArguments arguments = new()
        {
            Op = op,
            A = a,
            B = b,
            Into = into,
            Factor = factor,
            Cols = shape.Cols,
            Tasks = RowTasks.Of(shape.Batch, shape.Rows, shape.Cols),
        };
        _team.Run(_kernels.Elements, &arguments, arguments.Tasks.Count);
    }
}
