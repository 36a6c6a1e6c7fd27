using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>The two operations of DiCache.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused)
    {
        OpValidation.ProbeL1(ActivationType, inputs, sums);
        Tensor p = inputs.Probe;
        double* total = stackalloc double[ProbeSums.Count];
        new Span<double>(total, ProbeSums.Count).Clear();
        for (int b = 0; b < p.Batch; b++)
        {
            for (int r = 0; r < p.Rows; r++)
            {
                for (int i = 0; i < p.Cols; i++)
                {
                    float probe = Row(p, b, r)[i];
                    if (!inputs.PreviousProbe.IsEmpty)
                    {
                        float previous = Row(inputs.PreviousProbe, b, r)[i];
                        total[0] += MathF.Abs(probe - previous);
                        total[1] += MathF.Abs(previous);
                    }

                    if (!inputs.PreviousInput.IsEmpty)
                    {
                        float previous = Row(inputs.PreviousInput, b, r)[i];
                        total[2] += MathF.Abs(Row(inputs.Input, b, r)[i] - previous);
                        total[3] += MathF.Abs(previous);
                    }

                    if (!inputs.OlderProbeResidual.IsEmpty)
                    {
                        float older = Row(inputs.OlderProbeResidual, b, r)[i];
                        total[4] += MathF.Abs(probe - Row(inputs.Input, b, r)[i] - older);
                        total[5] += MathF.Abs(Row(inputs.NewerProbeResidual, b, r)[i] - older);
                    }
                }
            }
        }

        float* into = (float*)sums.Data;
        for (int i = 0; i < ProbeSums.Count; i++)
        {
            into[i] = (float)total[i];
        }
    }

    /// <inheritdoc/>
    public void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default)
    {
        OpValidation.TrajectoryBlend(ActivationType, inputs, into, norm);
        float gamma = inputs.OlderResidual.IsEmpty ? 0 : *(float*)inputs.Gamma.Data;
        for (int b = 0; b < into.Batch; b++)
        {
            for (int r = 0; r < into.Rows; r++)
            {
                float* x = Row(inputs.Input, b, r), newer = Row(inputs.NewerResidual, b, r), to = Row(into, b, r);
                float* older = inputs.OlderResidual.IsEmpty ? null : Row(inputs.OlderResidual, b, r);
                for (int i = 0; i < into.Cols; i++)
                {
                    to[i] = x[i] + (older == null ? newer[i] : older[i] + (gamma * (newer[i] - older[i])));
                }
            }
        }

        if (!norm.Output.IsEmpty)
        {
            LayerNormModulate(into, norm.Modulation, norm.Output, norm.Epsilon);
        }
    }
}
