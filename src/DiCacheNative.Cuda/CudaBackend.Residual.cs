using DiCacheNative.Backends;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>The residual stream and element-wise operations.</content>
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default)
    {
        const string op = "gated_residual";
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.GatedResidual(ActivationType, x, y, gate, into, extras);
        Geometry geometry = RowPerBlock(op, x);
        ProbeInputs probe = extras.Probe;
        NextNorm norm = extras.Norm;
        RequireOneType(op, x.Type, into, extras.ResidualOrigin, extras.Residual);
        RequireOneType(op, y.Type, norm.Output);

        bool sums = !extras.ProbeSums.IsEmpty;
        CudaStream stream = Enter();
        GatedResidualArgs args = new()
        {
            X = x,
            Y = y,
            Gate = gate,
            Into = into,
            Normed = norm.Output,
            Modulation = ModulationOf(norm.Modulation, norm.Epsilon),
            Probe = sums ? ProbeOf(probe, stream, x) : default,
            Origin = extras.ResidualOrigin,
            Residual = extras.Residual,
            Cols = x.Cols,
            Wide = AsInt(Wide(x.Cols, VectorWidth, x, y, gate, into, extras.ResidualOrigin, extras.Residual)
                && Wide(x.Cols, VectorWidth, norm.Output, norm.Modulation.Shift, norm.Modulation.Scale) && (!sums || WideProbe(probe))),
        };
        Launch(stream, _families.GatedResidual.For(x.Type, y.Type), geometry, args);
        if (sums)
        {
            SumPartials(stream, args.Probe.Partials, x, extras.ProbeSums.Data, ProbeSums.Count);
        }
    }

    /// <inheritdoc/>
    public void Subtract(in Tensor a, in Tensor b, in Tensor into)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Subtract(ActivationType, a, b, into);
        RequireOneType("subtract", a.Type, b, into);
        Subtract(Enter(), a, b, into);
    }

    /// <inheritdoc/>
    public void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Activate(x, y);
        Activate(Enter(), x, y, bias: 0, activation);
    }

    /// <inheritdoc/>
    public void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.EulerStep(ActivationType, x, velocity, dt);
        EulerStepArgs args = new()
        {
            X = x,
            Velocity = velocity,
            Dt = dt.Data,
            RowCount = x.Rows,
            Cols = x.Cols,
            Wide = AsInt(Wide(x.Cols, VectorWidth, x, velocity)),
        };
        Launch(Enter(), _families.EulerStep.For(velocity.Type), Elementwise(x), args);
    }

    /// <inheritdoc/>
    public void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Guide(ActivationType, cond, uncond, scale, into);
        RequireOneType("guide", cond.Type, uncond);
        GuideArgs args = new()
        {
            Cond = cond,
            Uncond = uncond,
            Into = into,
            Scale = scale.Data,
            RowCount = cond.Rows,
            Cols = cond.Cols,
            Wide = AsInt(Wide(cond.Cols, VectorWidth, cond, uncond, into)),
        };
        Launch(Enter(), _families.Guide.For(cond.Type, into.Type), Elementwise(cond), args);
    }

    /// <inheritdoc/>
    public void MeanRows(in Tensor x, in Tensor y)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.MeanRows(ActivationType, x, y);
        MeanRowsArgs args = new() { X = x, Y = y, RowCount = x.Rows, Cols = x.Cols };
        Geometry geometry = new(Ceiling(x.Cols, 32), x.Batch, 1, 32, ThreadsY: 8);
        Launch(Enter(), _families.MeanRows.For(x.Type, y.Type), geometry, args);
    }

    /// <summary>Kernels that read several tensors of one kind are written for one type of them.</summary>
    private static void RequireOneType(string operation, DType type, params ReadOnlySpan<Tensor> operands)
    {
        foreach (ref readonly Tensor t in operands)
        {
            if (!t.IsEmpty && t.Type != type)
            {
                throw new ShapeException($"{operation}: {t} should be of type {type}, as the operands it is combined with: the CUDA backend does not mix them");
            }
        }
    }

    private void Subtract(CudaStream stream, in Tensor a, in Tensor b, in Tensor into)
    {
        SubtractArgs args = new()
        {
            A = a,
            B = b,
            Into = into,
            RowCount = a.Rows,
            Cols = a.Cols,
            Wide = AsInt(Wide(a.Cols, VectorWidth, a, b, into)),
        };
        Launch(stream, _families.Subtract.For(a.Type), Elementwise(a), args);
    }

    /// <summary>y = activation(x + bias).</summary>
    private void Activate(CudaStream stream, in Tensor x, in Tensor y, nint bias, Epilogue activation)
    {
        ActivateArgs args = new()
        {
            X = x,
            Y = y,
            Bias = bias,
            RowCount = x.Rows,
            Cols = x.Cols,
            Activation = (int)activation,
            Wide = AsInt(Wide(x.Cols, VectorWidth, x, y)),
        };
        Launch(stream, _families.Activate.For(x.Type, y.Type), Elementwise(x), args);
    }

    private void Copy(CudaStream stream, in Tensor from, in Tensor to) => Activate(stream, from, to, bias: 0, Epilogue.None);
}
