namespace DiCacheNative.Models;

/// <summary>Cosines and sines of a rotary embedding over the three axes frame, row and column of a grid of tokens.</summary>
internal static class RotaryTable
{
    /// <summary>Fills a table with a row of half a head width for each token of the grid, row-major; axis after axis within a row.</summary>
    /// <param name="grid">Tokens along the axes.</param>
    /// <param name="axes">Widths of the axes; even, their sum is the head width.</param>
    /// <param name="theta">Base of the frequencies: pair i of an axis of width w turns by position * theta^(-2 i / w).</param>
    /// <param name="cos">Receives the cosines.</param>
    /// <param name="sin">Receives the sines.</param>
    public static void Fill(LatentSize grid, IReadOnlyList<int> axes, double theta, Span<float> cos, Span<float> sin)
    {
        int half = axes.Sum() / 2;
        Span<int> length = [grid.Frames, grid.Height, grid.Width], stride = [grid.Height * grid.Width, grid.Width, 1];
        for (int axis = 0, first = 0; axis < axes.Count; first += axes[axis++] / 2)
        {
            // In double precision once for each position of the axis, then copied to the tokens at it.
            int pairs = axes[axis] / 2;
            float[] axisCos = new float[length[axis] * pairs], axisSin = new float[axisCos.Length];
            for (int i = 0; i < axisCos.Length; i++)
            {
                (double s, double c) = Math.SinCos(i / pairs / Math.Pow(theta, 2.0 * (i % pairs) / axes[axis]));
                (axisCos[i], axisSin[i]) = ((float)c, (float)s);
            }

            for (int token = 0; token < grid.Positions; token++)
            {
                int position = token / stride[axis] % length[axis], at = (token * half) + first;
                axisCos.AsSpan(position * pairs, pairs).CopyTo(cos[at..]);
                axisSin.AsSpan(position * pairs, pairs).CopyTo(sin[at..]);
            }
        }
    }

    /// <summary>
    /// Rotary axes of a head width, for checkpoints that carry no config: the smallest first axis of at least Dh/8 that leaves two equal
    /// axes, all multiples of 4. Gives 16/56/56 for the released head width of 128.
    /// </summary>
    /// <exception cref="ModelFormatException">The width cannot be divided so.</exception>
    public static IReadOnlyList<int> InferAxes(int headDim)
    {
        for (int first = Math.Max(4, (headDim / 8) + 3 & ~3); first < headDim && headDim <= ModelLimits.HeadWidth; first += 4)
        {
            int rest = (headDim - first) / 2;
            if ((headDim - first) % 2 == 0 && rest % 4 == 0)
            {
                return [first, rest, rest];
            }
        }

        throw new ModelFormatException($"rotary axes cannot be inferred for heads of width {headDim}: put a config.json beside the checkpoint");
    }
}
