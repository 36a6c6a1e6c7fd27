using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>The two operations of DiCache.</content>
public sealed unsafe partial class CpuBackend
{
    /// <summary>
    /// The sums of the probe. <see cref="ProbeForm.Epilogue"/> stands for sums that ride on <see cref="GatedResidual"/>; asked for here,
    /// where there is no addition to ride on, it is the fused pass.
    /// </summary>
    /// <param name="inputs">Inputs of one shape and type.</param>
    /// <param name="sums">F32 [1, 1, 6] in the order of <see cref="ProbeSums"/>.</param>
    /// <param name="form">How to compute them. All forms give the same bits.</param>
    /// <exception cref="ShapeException">Shapes or types differ.</exception>
    public void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.ProbeL1(ActivationType, inputs, sums);
        Tensor p = inputs.Probe;
        ProbeArguments a = new()
        {
            Probe = Operand.Of(p),
            Others = ProbeOperands.Of(inputs),
            Cols = p.Cols,
            Tasks = RowTasks.Of(p.Batch, p.Rows, p.Cols),
        };
        lock (_gate)
        {
            a.RowSums = RowSums(a.Tasks.Total);
            if (form == ProbeForm.Unfused)
            {
                SumStepByStep(a, p);
            }
            else
            {
                _team.Run(_kernels.ProbeFused, &a, a.Tasks.Count);
            }

            AddRowSums(a.RowSums, a.Tasks.Total, sums);
        }
    }

    /// <inheritdoc/>
    public void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.TrajectoryBlend(ActivationType, inputs, into, norm);
        BlendArguments a = new()
        {
            Input = Operand.Of(inputs.Input),
            Newer = Operand.Of(inputs.NewerResidual),
            Older = Operand.Of(inputs.OlderResidual),
            Into = Operand.Of(into),
            NormOutput = Operand.Of(norm.Output),
            Norm = NormOf(norm.Modulation, norm.Epsilon),
            Gamma = inputs.OlderResidual.IsEmpty ? 0 : *(float*)inputs.Gamma.Data,
            Cols = inputs.Input.Cols,
            Tasks = RowTasks.Of(inputs.Input.Batch, inputs.Input.Rows, inputs.Input.Cols),
        };
        if (form != ProbeForm.Unfused || into.IsEmpty)
        {
            _team.Run(_kernels.Blend, &a, a.Tasks.Count);
            return;
        }

        lock (_gate)
        {
            BlendStepByStep(a, into);
        }

        if (!norm.Output.IsEmpty)
        {
            LayerNormModulate(into, norm.Modulation, norm.Output, norm.Epsilon);
        }
    }

    /// <summary>Room for six sums per row.</summary>
    private double* RowSums(int rows) => (double*)_sharedScratch.Ensure((long)rows * ProbeSums.Count * sizeof(double));

    private static void AddRowSums(double* rowSums, int rows, in Tensor sums)
    {
        double* total = stackalloc double[ProbeSums.Count];
        new Span<double>(total, ProbeSums.Count).Clear();
        for (int r = 0; r < rows; r++)
        {
            for (int i = 0; i < ProbeSums.Count; i++)
            {
                total[i] += rowSums[(r * ProbeSums.Count) + i];
            }
        }

        for (int i = 0; i < ProbeSums.Count; i++)
        {
            ((float*)sums.Data)[i] = (float)total[i];
        }
    }

    /// <summary>As a tensor framework does it: each operation a pass of its own over whole maps, the previous maps cloned first.</summary>
    private void SumStepByStep(in ProbeArguments a, in Tensor shape)
    {
        (Operand t0, Operand t1) = Temporaries(shape);
        new Span<double>(a.RowSums, a.Tasks.Total * ProbeSums.Count).Clear();
        if (!a.Others.PreviousProbe.IsEmpty)
        {
            ChangeStepByStep(a, a.Probe, a.Others.PreviousProbe, 0, t0, t1, shape);
        }

        if (!a.Others.PreviousInput.IsEmpty)
        {
            ChangeStepByStep(a, a.Others.Input, a.Others.PreviousInput, 2, t0, t1, shape);
        }

        if (!a.Others.Older.IsEmpty)
        {
            RunElements(ElementOp.Subtract, a.Probe, a.Others.Input, 0, t0, shape);
            RunElements(ElementOp.Subtract, t0, a.Others.Older, 0, t1, shape);
            SumOf(t1, 4, a, t0, shape);
            if (!a.Others.Newer.IsEmpty)
            {
                RunElements(ElementOp.Subtract, a.Others.Newer, a.Others.Older, 0, t1, shape);
                SumOf(t1, 5, a, t0, shape);
            }
        }
    }

    private void ChangeStepByStep(in ProbeArguments a, Operand now, Operand previous, int sum, Operand t0, Operand t1, in Tensor shape)
    {
        RunElements(ElementOp.Copy, previous, default, 0, t0, shape);
        RunElements(ElementOp.Subtract, now, t0, 0, t1, shape);
        SumOf(t1, sum, a, t1, shape);
        SumOf(t0, sum + 1, a, t1, shape);
    }

    /// <summary>abs, then the sum over each row.</summary>
    private void SumOf(Operand x, int sum, in ProbeArguments a, Operand temporary, in Tensor shape)
    {
        RunElements(ElementOp.Abs, x, default, 0, temporary, shape);
        SumArguments arguments = new() { X = temporary, RowSums = a.RowSums, Sum = sum, Cols = a.Cols, Tasks = a.Tasks };
        _team.Run(_kernels.ProbeSum, &arguments, arguments.Tasks.Count);
    }

    private void BlendStepByStep(in BlendArguments a, in Tensor shape)
    {
        if (a.Older.IsEmpty)
        {
            RunElements(ElementOp.Add, a.Input, a.Newer, 0, a.Into, shape);
            return;
        }

        (Operand t0, Operand t1) = Temporaries(shape);
        RunElements(ElementOp.Subtract, a.Newer, a.Older, 0, t0, shape);
        RunElements(ElementOp.Scale, t0, default, a.Gamma, t1, shape);
        RunElements(ElementOp.Add, a.Older, t1, 0, t0, shape);
        RunElements(ElementOp.Add, a.Input, t0, 0, a.Into, shape);
    }

    /// <summary>Two maps of the shape, in the workers' scratch, which the element-wise operations do not use.</summary>
    private (Operand First, Operand Second) Temporaries(in Tensor shape)
    {
        byte* memory = _workerScratch.Ensure(2 * shape.Count * sizeof(float));
        Tensor first = Tensor.Dense((nint)memory, DType.F32, shape.Batch, shape.Rows, shape.Cols);
        return (Operand.Of(first), Operand.Of(first with { Data = (nint)(memory + (shape.Count * sizeof(float))) }));
    }
}
