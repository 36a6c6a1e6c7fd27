using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Attention.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale)
    {
        OpValidation.Attention(ActivationType, q, k, v, o, heads);
        Tensor query = q, key = k, value = v, output = o;
        int width = q.Cols / heads;
        Parallel.For(0, q.Batch * heads, task =>
        {
            int b = task / heads, first = task % heads * width;
            float* sums = stackalloc float[width];
            for (int i = 0; i < query.Rows; i++)
            {
                float max = float.NegativeInfinity, total = 0;
                new Span<float>(sums, width).Clear();
                for (int j = 0; j < key.Rows; j++)
                {
                    float score = scale * Dot(Row(query, b, i) + first, Row(key, b, j) + first, width);
                    float next = MathF.Max(max, score), keep = MathF.Exp(max - next), p = MathF.Exp(score - next);
                    float* values = Row(value, b, j) + first;
                    for (int c = 0; c < width; c++)
                    {
                        sums[c] = (sums[c] * keep) + (p * values[c]);
                    }

                    (max, total) = (next, (total * keep) + p);
                }

                float* into = Row(output, b, i) + first;
                for (int c = 0; c < width; c++)
                {
                    into[c] = sums[c] / total;
                }
            }
        });
    }
}
