using DiCacheNative.Backends;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>The two operations of DiCache.</content>
public sealed unsafe partial class CudaBackend
{
    /// <summary>kSumThreads in kernels/probe_l1.cu.</summary>
    private const int SumThreads = 256;

    /// <inheritdoc/>
    /// <remarks>
    /// In F32 all forms give the same bits. In bf16 the unfused form rounds every intermediate tensor, as a tensor framework does, so its sums
    /// differ from the others in the fourth digit.
    /// </remarks>
    public void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused)
    {
        const string op = "probe_l1";
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.ProbeL1(ActivationType, inputs, sums);
        Geometry geometry = RowPerBlock(op, inputs.Probe);
        CudaStream stream = Enter();
        if (form == ProbeForm.Unfused)
        {
            ProbeOpByOp(stream, inputs, sums);
            return;
        }

        ProbeL1Args args = new()
        {
            Probe = inputs.Probe,
            Inputs = ProbeOf(inputs, stream, inputs.Probe),
            Cols = inputs.Probe.Cols,
            Wide = AsInt(Wide(inputs.Probe.Cols, VectorWidth, inputs.Probe) && WideProbe(inputs)),
        };
        Launch(stream, _families.ProbeL1.For(inputs.Probe.Type), geometry, args);
        SumPartials(stream, args.Inputs.Partials, inputs.Probe, sums.Data, ProbeSums.Count);
    }

    /// <inheritdoc/>
    public void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default)
    {
        const string op = "trajectory_blend";
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.TrajectoryBlend(ActivationType, inputs, into, norm);
        RequireOneType(op, inputs.Input.Type, inputs.NewerResidual, inputs.OlderResidual, into);
        Geometry geometry = RowPerBlock(op, inputs.Input);
        CudaStream stream = Enter();
        if (form == ProbeForm.Unfused && !into.IsEmpty)
        {
            BlendOpByOp(stream, inputs, into);
            if (!norm.Output.IsEmpty)
            {
                LayerNormModulate(into, norm.Modulation, norm.Output, norm.Epsilon);
            }

            return;
        }

        TrajectoryBlendArgs args = new()
        {
            Input = inputs.Input,
            Newer = inputs.NewerResidual,
            Older = inputs.OlderResidual,
            Gamma = inputs.Gamma.Data,
            Into = into,
            Normed = norm.Output,
            Modulation = ModulationOf(norm.Modulation, norm.Epsilon),
            Cols = inputs.Input.Cols,
            Wide = AsInt(Wide(inputs.Input.Cols, VectorWidth, inputs.Input, inputs.NewerResidual, inputs.OlderResidual, into)
                && Wide(inputs.Input.Cols, VectorWidth, norm.Output, norm.Modulation.Shift, norm.Modulation.Scale)),
        };
        DType normed = norm.Output.IsEmpty ? inputs.Input.Type : norm.Output.Type;
        Launch(stream, _families.TrajectoryBlend.For(inputs.Input.Type, normed), geometry, args);
    }

    private static bool WideProbe(in ProbeInputs p) =>
        Wide(VectorWidth, VectorWidth, p.PreviousProbe, p.Input, p.PreviousInput, p.OlderProbeResidual, p.NewerProbeResidual);

    /// <summary>The probe's operands and scratch memory for a partial sum per row.</summary>
    private static ProbeArgs ProbeOf(in ProbeInputs inputs, CudaStream stream, in Tensor probe)
    {
        RequireOneType(
            "probe_l1", probe.Type, inputs.PreviousProbe, inputs.Input, inputs.PreviousInput, inputs.OlderProbeResidual, inputs.NewerProbeResidual);
        return new()
        {
            PreviousProbe = inputs.PreviousProbe,
            Input = inputs.Input,
            PreviousInput = inputs.PreviousInput,
            OlderResidual = inputs.OlderProbeResidual,
            NewerResidual = inputs.NewerProbeResidual,
            Partials = stream.Scratch.Take((long)ProbeSums.Count * probe.Batch * probe.Rows * sizeof(float)),
        };
    }

    /// <summary>Adds up partials [count, B * L] into count sums.</summary>
    private void SumPartials(CudaStream stream, nint partials, in Tensor rows, nint sums, int count)
    {
        int perSum = checked(rows.Batch * rows.Rows);
        void** args = stackalloc void*[] { &partials, &perSum, &sums };
        Launch(stream, _families.ProbeL1Sum, new Geometry(count, 1, 1, SumThreads), args);
    }

    /// <summary>What a tensor framework makes of the probe: every operation reads and writes whole tensors.</summary>
    private void ProbeOpByOp(CudaStream stream, in ProbeInputs inputs, in Tensor sums)
    {
        Tensor p = inputs.Probe;
        (Tensor first, Tensor second, nint partials) = Temporaries(stream, p);
        Tensor into = sums;
        if (!inputs.PreviousProbe.IsEmpty)
        {
            Copy(stream, p, second); // the framework keeps the probe for the next step in a clone
        }

        Distance(p, inputs.PreviousProbe, 0);
        Distance(inputs.Input, inputs.PreviousInput, 2);
        if (inputs.OlderProbeResidual.IsEmpty)
        {
            Zero(4);
            Zero(5);
            return;
        }

        Subtract(stream, p, inputs.Input, first);
        Subtract(stream, first, inputs.OlderProbeResidual, second);
        MeanOfAbsolute(second, 4);
        if (inputs.NewerProbeResidual.IsEmpty)
        {
            Zero(5);
            return;
        }

        Subtract(stream, inputs.NewerProbeResidual, inputs.OlderProbeResidual, second);
        MeanOfAbsolute(second, 5);

        void Distance(in Tensor now, in Tensor previous, int index)
        {
            if (previous.IsEmpty)
            {
                Zero(index);
                Zero(index + 1);
                return;
            }

            Subtract(stream, now, previous, second);
            MeanOfAbsolute(second, index);
            MeanOfAbsolute(previous, index + 1);
        }

        void MeanOfAbsolute(in Tensor x, int index)
        {
            FrameworkOp(stream, _families.Absolute, x, default, first, 0);
            RowSumArgs args = new() { X = first, Partials = partials, Cols = first.Cols, Wide = AsInt(Wide(first.Cols, VectorWidth, first)) };
            Launch(stream, _families.RowSum.For(first.Type), RowPerBlock("probe_l1", first), args);
            SumPartials(stream, partials, first, into.Data + (index * sizeof(float)), 1);
        }

        // A sum over no rows.
        void Zero(int index) => SumPartials(stream, partials, default, into.Data + (index * sizeof(float)), 1);
    }

    private void BlendOpByOp(CudaStream stream, in BlendInputs inputs, in Tensor into)
    {
        (Tensor clone, Tensor residual, _) = Temporaries(stream, into);
        Copy(stream, inputs.Input, clone);
        if (inputs.OlderResidual.IsEmpty)
        {
            FrameworkOp(stream, _families.Add, clone, inputs.NewerResidual, into, 0);
            return;
        }

        Subtract(stream, inputs.NewerResidual, inputs.OlderResidual, residual);
        FrameworkOp(stream, _families.Scale, residual, default, residual, inputs.Gamma.Data);
        FrameworkOp(stream, _families.Add, inputs.OlderResidual, residual, residual, 0);
        FrameworkOp(stream, _families.Add, clone, residual, into, 0);
    }

    private void FrameworkOp(CudaStream stream, KernelFamily family, in Tensor x, in Tensor y, in Tensor into, nint gamma)
    {
        FrameworkOpArgs args = new()
        {
            X = x,
            Y = y,
            Into = into,
            Gamma = gamma,
            RowCount = x.Rows,
            Cols = x.Cols,
            Wide = AsInt(Wide(x.Cols, VectorWidth, x, y, into)),
        };
        Launch(stream, family.For(x.Type), Elementwise(x), args);
    }

    /// <summary>Two dense tensors shaped as <paramref name="like"/> in scratch memory, and partial sums for its rows after them.</summary>
    private static (Tensor First, Tensor Second, nint Partials) Temporaries(CudaStream stream, in Tensor like)
    {
        nint bytes = (nint)Aligned(like.Count * like.Type.Size());
        nint scratch = stream.Scratch.Take((2 * bytes) + ((long)like.Batch * like.Rows * sizeof(float)));
        Tensor first = Tensor.Dense(scratch, like.Type, like.Batch, like.Rows, like.Cols);
        return (first, first with { Data = scratch + bytes }, scratch + (2 * bytes));
    }

    private static long Aligned(long bytes) => (bytes + Arena.Alignment - 1) / Arena.Alignment * Arena.Alignment;
}
