using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Norms and rotary embedding.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f)
    {
        OpValidation.LayerNormModulate(ActivationType, x, modulation, y);
        for (int b = 0; b < x.Batch; b++)
        {
            for (int r = 0; r < x.Rows; r++)
            {
                NormRow(Row(x, b, r), modulation, b, Row(y, b, r), x.Cols, epsilon);
            }
        }
    }

    /// <inheritdoc/>
    public void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
        OpValidation.QkNormRope(ActivationType, q, k, norm, rope, heads);
        NormRope(q, norm.Query, norm.Epsilon, rope, heads);
        if (!k.IsEmpty)
        {
            NormRope(k, norm.Key, norm.Epsilon, rope, heads);
        }
    }

    private static void NormRow(float* x, in Modulation m, int batch, float* y, int width, float epsilon)
    {
        double mean = 0, variance = 0;
        for (int i = 0; i < width; i++)
        {
            mean += x[i];
        }

        mean /= width;
        for (int i = 0; i < width; i++)
        {
            variance += (x[i] - mean) * (x[i] - mean);
        }

        float inverse = (float)(1 / Math.Sqrt((variance / width) + epsilon)), center = (float)mean;
        float* shift = BroadcastRow(m.Shift, batch), scale = BroadcastRow(m.Scale, batch);
        for (int i = 0; i < width; i++)
        {
            float n = (x[i] - center) * inverse;
            y[i] = (n * (scale == null ? 1 : m.ScaleOffset + scale[i])) + (shift == null ? 0 : shift[i]);
        }
    }

    private static void NormRope(in Tensor x, in Tensor scale, float epsilon, in RopeTable rope, int heads)
    {
        int headWidth = x.Cols / heads;
        float* weight = (float*)scale.Data;
        bool perRow = scale.Cols == x.Cols;
        for (int b = 0; b < x.Batch; b++)
        {
            for (int r = 0; r < x.Rows; r++)
            {
                float* row = Row(x, b, r);
                int group = perRow ? x.Cols : headWidth;
                for (int g = 0; g < x.Cols; g += group)
                {
                    double square = 0;
                    for (int i = g; i < g + group; i++)
                    {
                        square += row[i] * row[i];
                    }

                    float inverse = (float)(1 / Math.Sqrt((square / group) + epsilon));
                    for (int i = 0; i < group; i++)
                    {
                        row[g + i] = row[g + i] * inverse * weight[i];
                    }
                }

                if (!rope.Cos.IsEmpty && r < rope.Cos.Rows)
                {
                    int sample = rope.Cos.Batch == 1 ? 0 : b;
                    float* cos = Row(rope.Cos, sample, r), sin = Row(rope.Sin, sample, r);
                    for (int i = 0; i < x.Cols; i += 2)
                    {
                        int pair = i % headWidth / 2;
                        float first = row[i], second = row[i + 1];
                        row[i] = (first * cos[pair]) - (second * sin[pair]);
                        row[i + 1] = (second * cos[pair]) + (first * sin[pair]);
                    }
                }
            }
        }
    }
}
