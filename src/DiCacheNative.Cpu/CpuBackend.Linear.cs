using System.Numerics;
using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Linear layers.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public LinearWeight CreateLinear(in LinearSource source)
    {
        (int n, int k) = OpValidation.Linear(source);
        return new PlainWeight(source, n, k);
    }

    /// <inheritdoc/>
    public void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None)
    {
        OpValidation.Linear(ActivationType, x, weight, y);
        var w = weight as PlainWeight ?? throw new ArgumentException($"the weight {weight.Name} was made by another backend", nameof(weight));
        Tensor input = x, output = y;
        Parallel.For(0, w.OutFeatures, n =>
        {
            float* row = w.Data + ((long)n * w.InFeatures);
            for (int b = 0; b < input.Batch; b++)
            {
                for (int r = 0; r < input.Rows; r++)
                {
                    float sum = Dot(Row(input, b, r), row, w.InFeatures) + w.Bias[n];
                    Row(output, b, r)[n] = Activation(sum, epilogue);
                }
            }
        });
        GC.KeepAlive(w);
    }

    private static float Dot(float* a, float* b, int count)
    {
        Vector<float> sum = Vector<float>.Zero;
        int i = 0;
        for (; i <= count - Vector<float>.Count; i += Vector<float>.Count)
        {
            sum += Vector.Load(a + i) * Vector.Load(b + i);
        }

        float total = Vector.Sum(sum);
        for (; i < count; i++)
        {
            total += a[i] * b[i];
        }

        return total;
    }

    private static float Activation(float v, Epilogue epilogue) => epilogue switch
    {
        Epilogue.GeluTanh => 0.5f * v * (1 + MathF.Tanh(0.7978845608028654f * (v + (0.044715f * v * v * v)))),
        Epilogue.Silu => v / (1 + MathF.Exp(-v)),
        Epilogue.GeluErf => (float)(0.5 * v * (1 + Erf(v * 0.70710678118654752))),
        _ => v,
    };

    /// <summary>erf by its Taylor series below 3 and by the continued fraction of erfc above; relative error below 1e-12.</summary>
    private static double Erf(double x)
    {
        double a = Math.Abs(x);
        if (a < 3)
        {
            double term = x, sum = x;
            for (int n = 1; n < 60; n++)
            {
                term *= -x * x / n;
                sum += term / ((2 * n) + 1);
            }

            return sum * 1.1283791670955126;
        }

        double fraction = 0;
        for (int n = 40; n > 0; n--)
        {
            fraction = n / 2.0 / (a + fraction);
        }

        double tail = Math.Exp(-a * a) / (a + fraction) * 0.56418958354775629;
        return Math.Sign(x) * (1 - tail);
    }

    private sealed class PlainWeight : LinearWeight
    {
        internal readonly float* Data, Bias;
        private int _disposed;

        internal PlainWeight(in LinearSource source, int n, int k)
            : base(source.Name, n, k)
        {
            Data = (float*)NativeMemory.AlignedAlloc((nuint)((long)n * k * sizeof(float)), 64);
            Bias = (float*)NativeMemory.AllocZeroed((nuint)n, sizeof(float));
            long at = 0;
            foreach (HostTensor part in source.Weights)
            {
                for (int r = 0; r < part.Shape[0]; r++, at += k)
                {
                    part.CopyTo(new Span<float>(Data + at, k), (long)r * k);
                }
            }

            int bias = 0;
            foreach (HostTensor part in source.Biases)
            {
                part.CopyTo(new Span<float>(Bias + bias, (int)part.Count));
                bias += (int)part.Count;
            }
        }

        public override long Bytes => ((long)OutFeatures * InFeatures * sizeof(float)) + (OutFeatures * sizeof(float));

        ~PlainWeight() => Dispose(false);

        protected override void Dispose(bool disposing)
        {
            if (Interlocked.Exchange(ref _disposed, 1) == 0)
            {
                NativeMemory.AlignedFree(Data);
                NativeMemory.Free(Bias);
            }
        }
    }
}
