using DiCacheNative.Backends;

namespace DiCacheNative.OpTests.Cases;

/// <summary>Every operation as a plain loop in double precision, one output row at a time. Slow, and meant to be obviously right.</summary>
public static class Reference
{
    public static double[] Linear(TestTensor x, TestWeight weight, Epilogue epilogue, int batch, int row)
    {
        int n = weight.Weight.OutFeatures, k = weight.Weight.InFeatures;
        double[] input = Row(x, batch, row), y = new double[n];
        for (int i = 0; i < n; i++)
        {
            double sum = weight.Bias?[i] ?? 0;
            for (int j = 0; j < k; j++)
            {
                sum += input[j] * weight.W[(i * k) + j];
            }

            y[i] = Activate(sum, epilogue);
        }

        return y;
    }

    public static double Activate(double v, Epilogue activation) => activation switch
    {
        Epilogue.GeluTanh => 0.5 * v * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (v + (0.044715 * v * v * v)))),
        Epilogue.Silu => v / (1 + Math.Exp(-v)),
        Epilogue.GeluErf => 0.5 * v * Erfc(-v / Math.Sqrt(2)),
        _ => v,
    };

    public static double[] LayerNorm(double[] x, TestTensor? scale, TestTensor? shift, double offset, double epsilon, int batch)
    {
        double mean = x.Average(), variance = x.Average(v => (v - mean) * (v - mean));
        double[] y = new double[x.Length];
        for (int i = 0; i < x.Length; i++)
        {
            double gain = scale == null ? 1 : offset + scale.At(batch, 0, i);
            y[i] = ((x[i] - mean) / Math.Sqrt(variance + epsilon) * gain) + (shift?.At(batch, 0, i) ?? 0);
        }

        return y;
    }

    public static double[] QkNormRope(TestTensor x, TestTensor scale, TestTensor? cos, TestTensor? sin, int heads, double epsilon, int batch, int row)
    {
        double[] y = Row(x, batch, row);
        int headWidth = x.Cols / heads, group = scale.Cols;
        for (int first = 0; first < y.Length; first += group)
        {
            double mean = 0;
            for (int i = 0; i < group; i++)
            {
                mean += y[first + i] * y[first + i] / group;
            }

            for (int i = 0; i < group; i++)
            {
                y[first + i] = y[first + i] / Math.Sqrt(mean + epsilon) * scale.At(0, 0, i);
            }
        }

        if (cos == null || row >= cos.Rows)
        {
            return y;
        }

        for (int i = 0; i < y.Length; i += 2)
        {
            double c = cos.At(batch, row, i % headWidth / 2), s = sin!.At(batch, row, i % headWidth / 2);
            (y[i], y[i + 1]) = ((y[i] * c) - (y[i + 1] * s), (y[i + 1] * c) + (y[i] * s));
        }

        return y;
    }

    public static double[] Attention(TestTensor q, TestTensor k, TestTensor v, int heads, double scale, int batch, int row)
    {
        int headWidth = q.Cols / heads;
        double[] o = new double[q.Cols], p = new double[k.Rows];
        for (int first = 0; first < q.Cols; first += headWidth)
        {
            for (int j = 0; j < k.Rows; j++)
            {
                p[j] = 0;
                for (int i = first; i < first + headWidth; i++)
                {
                    p[j] += q.At(batch, row, i) * k.At(batch, j, i) * scale;
                }
            }

            double max = p.Max(), total = 0;
            for (int j = 0; j < k.Rows; j++)
            {
                p[j] = Math.Exp(p[j] - max);
                total += p[j];
            }

            for (int j = 0; j < k.Rows; j++)
            {
                for (int i = first; i < first + headWidth; i++)
                {
                    o[i] += p[j] / total * v.At(batch, j, i);
                }
            }
        }

        return o;
    }

    public static double[] GatedResidual(TestTensor x, TestTensor y, TestTensor? gate, int batch, int row) =>
        Map(x.Cols, i => x.At(batch, row, i) + ((gate?.At(batch, 0, i) ?? 1) * y.At(batch, row, i)));

    public static double[] TimestepEmbed(double value, int width, double maxPeriod)
    {
        int half = width / 2;
        double[] y = new double[width];
        for (int i = 0; i < half; i++)
        {
            double argument = value * Math.Exp(-Math.Log(maxPeriod) * i / half);
            (y[i], y[half + i]) = (Math.Cos(argument), Math.Sin(argument));
        }

        return y;
    }

    /// <summary>One token of a patchified latent.</summary>
    public static double[] Token(TestTensor latents, PatchGeometry g, int batch, int token)
    {
        List<double> values = [];
        int across = g.Width / g.PatchWidth, down = g.Height / g.PatchHeight;
        int f = token / (across * down) * g.PatchFrames, y = token / across % down * g.PatchHeight, x = token % across * g.PatchWidth;
        double Latent(int c, int pf, int py, int px) =>
            latents.At(batch, 0, (((((c * g.Frames) + f + pf) * g.Height) + y + py) * g.Width) + x + px);
        for (int outer = 0; outer < (g.ChannelsFirst ? g.Channels : 1); outer++)
        {
            for (int pf = 0; pf < g.PatchFrames; pf++)
            {
                for (int py = 0; py < g.PatchHeight; py++)
                {
                    for (int px = 0; px < g.PatchWidth; px++)
                    {
                        for (int inner = 0; inner < (g.ChannelsFirst ? 1 : g.Channels); inner++)
                        {
                            values.Add(Latent(outer + inner, pf, py, px));
                        }
                    }
                }
            }
        }

        return [.. values];
    }

    /// <summary>The six sums, of numbers in double precision.</summary>
    public static double[] Probe(
        Func<int, int, double[]> probe, TestTensor shape, TestTensor? previous, TestTensor? input, TestTensor? previousInput, TestTensor? older,
        TestTensor? newer)
    {
        double[] sums = new double[ProbeSums.Count];
        for (int b = 0; b < shape.Batch; b++)
        {
            for (int r = 0; r < shape.Rows; r++)
            {
                double[] p = probe(b, r);
                for (int i = 0; i < p.Length; i++)
                {
                    sums[0] += previous == null ? 0 : Math.Abs(p[i] - previous.At(b, r, i));
                    sums[1] += previous == null ? 0 : Math.Abs(previous.At(b, r, i));
                    sums[2] += previousInput == null ? 0 : Math.Abs(input!.At(b, r, i) - previousInput.At(b, r, i));
                    sums[3] += previousInput == null ? 0 : Math.Abs(previousInput.At(b, r, i));
                    sums[4] += older == null ? 0 : Math.Abs(p[i] - input!.At(b, r, i) - older.At(b, r, i));
                    sums[5] += older == null || newer == null ? 0 : Math.Abs(newer.At(b, r, i) - older.At(b, r, i));
                }
            }
        }

        return sums;
    }

    public static double[] Row(TestTensor x, int batch, int row) => Map(x.Cols, i => x.At(batch, row, i));

    public static double[] Map(int count, Func<int, double> value)
    {
        double[] result = new double[count];
        for (int i = 0; i < count; i++)
        {
            result[i] = value(i);
        }

        return result;
    }

    /// <summary>erfc by the series of erf below 2 and by its continued fraction above.</summary>
    private static double Erfc(double x)
    {
        if (x < 0)
        {
            return 2 - Erfc(-x);
        }

        if (x < 2)
        {
            double term = x, sum = x;
            for (int n = 1; n < 60; n++)
            {
                term *= -x * x / n;
                sum += term / ((2 * n) + 1);
            }

            return 1 - (2 / Math.Sqrt(Math.PI) * sum);
        }

        double fraction = 0;
        for (int n = 80; n > 0; n--)
        {
            fraction = n / 2.0 / (x + fraction);
        }

        return Math.Exp(-x * x) / (x + fraction) / Math.Sqrt(Math.PI);
    }
}
