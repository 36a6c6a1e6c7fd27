using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>The residual stream and element-wise operations.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default)
    {
        OpValidation.GatedResidual(ActivationType, x, y, gate, into, extras);
        for (int b = 0; b < x.Batch; b++)
        {
            float* g = BroadcastRow(gate, b);
            for (int r = 0; r < x.Rows; r++)
            {
                float* from = Row(x, b, r), add = Row(y, b, r), to = Row(into, b, r);
                for (int i = 0; i < x.Cols; i++)
                {
                    to[i] = from[i] + (g == null ? add[i] : g[i] * add[i]);
                }
            }
        }

        if (!extras.Residual.IsEmpty)
        {
            Subtract(into, extras.ResidualOrigin, extras.Residual);
        }

        if (!extras.ProbeSums.IsEmpty)
        {
            ProbeL1(extras.Probe with { Probe = into }, extras.ProbeSums);
        }

        if (!extras.Norm.Output.IsEmpty)
        {
            LayerNormModulate(into, extras.Norm.Modulation, extras.Norm.Output, extras.Norm.Epsilon);
        }
    }

    /// <inheritdoc/>
    public void Subtract(in Tensor a, in Tensor b, in Tensor into)
    {
        OpValidation.Subtract(ActivationType, a, b, into);
        for (int s = 0; s < a.Batch; s++)
        {
            for (int r = 0; r < a.Rows; r++)
            {
                float* left = Row(a, s, r), right = Row(b, s, r), to = Row(into, s, r);
                for (int i = 0; i < a.Cols; i++)
                {
                    to[i] = left[i] - right[i];
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None)
    {
        OpValidation.Activate(x, y);
        for (int b = 0; b < x.Batch; b++)
        {
            for (int r = 0; r < x.Rows; r++)
            {
                for (int i = 0; i < x.Cols; i++)
                {
                    Store(y, b, r, i, Activation(Load(x, b, r, i), activation));
                }
            }
        }
    }

    /// <inheritdoc/>
    public void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt)
    {
        OpValidation.EulerStep(ActivationType, x, velocity, dt);
        float step = *(float*)dt.Data;
        for (int b = 0; b < x.Batch; b++)
        {
            for (int r = 0; r < x.Rows; r++)
            {
                float* to = Row(x, b, r), v = Row(velocity, b, r);
                for (int i = 0; i < x.Cols; i++)
                {
                    to[i] += step * v[i];
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
        OpValidation.Guide(ActivationType, cond, uncond, scale, into);
        float s = *(float*)scale.Data;
        for (int b = 0; b < cond.Batch; b++)
        {
            for (int r = 0; r < cond.Rows; r++)
            {
                float* c = Row(cond, b, r), u = Row(uncond, b, r), to = Row(into, b, r);
                for (int i = 0; i < cond.Cols; i++)
                {
                    to[i] = u[i] + (s * (c[i] - u[i]));
                }
            }
        }
    }

    /// <inheritdoc/>
    public void MeanRows(in Tensor x, in Tensor y)
    {
        OpValidation.MeanRows(ActivationType, x, y);
        for (int b = 0; b < x.Batch; b++)
        {
            float* mean = Row(y, b, 0);
            for (int i = 0; i < x.Cols; i++)
            {
                double sum = 0;
                for (int r = 0; r < x.Rows; r++)
                {
                    sum += Row(x, b, r)[i];
                }

                mean[i] = (float)(sum / x.Rows);
            }
        }
    }
}
