using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <content>Operations on rows and elements.</content>
public static partial class OpCases
{
    private static IEnumerable<OpCase> Norms()
    {
        yield return LayerNorm(1, 1, 1);
        yield return LayerNorm(1, 7, 5, shift: false);
        yield return LayerNorm(1, 129, 33, scale: false, shift: false);
        yield return LayerNorm(2, 30, 96, modulations: 2);
        yield return LayerNorm(2, 30, 96, Layout.Rows);
        yield return LayerNorm(3, 9, 20, Layout.Columns, offset: 0, modulations: 3);
        yield return LayerNorm(1, 3, 1100, scale: false);
        yield return LayerNorm(1, 17, 64, inPlace: true);
        yield return LayerNorm(1, 256, 160);
        yield return LayerNorm(1, 40, 3072, mean: 30);
        yield return LayerNorm(1, 1536, 3072);
        yield return QkNormRope(1, 1, 1, 32);
        yield return QkNormRope(2, 7, 3, 20, Layout.Columns, rope: 2);
        yield return QkNormRope(1, 129, 2, 28, Layout.Columns);
        yield return QkNormRope(2, 41, 3, 32, Layout.Rows, ropeRows: 30);
        yield return QkNormRope(1, 30, 3, 28, perRow: true);
        yield return QkNormRope(1, 12, 2, 9, perRow: true, rope: 0);
        yield return QkNormRope(1, 10, 2, 64, keys: false);
        yield return QkNormRope(1, 6, 1, 256, perRow: true, rope: 0, keyRows: 11);
        yield return QkNormRope(1, 288, 5, 32, Layout.Columns);
        yield return QkNormRope(1, 1536, 24, 128, Layout.Columns);
    }

    private static OpCase LayerNorm(
        int batch, int rows, int cols, Layout layout = Layout.Dense, bool scale = true, bool shift = true, float offset = 1, int modulations = 1,
        bool inPlace = false, double mean = 0)
    {
        string variant = $"{(layout == Layout.Dense ? "" : $" {layout}")}{(scale ? "" : " no scale")}{(shift ? "" : " no shift")}"
            + $"{(offset == 1 ? "" : " affine")}"
            + $"{(inPlace ? " in place" : "")}{(mean == 0 ? "" : " off centre")}";
        double elements = (double)batch * rows * cols;
        return new OpCase(
            $"layer_norm_modulate {batch}x{rows}x{cols}{variant}", 8 * elements, 2 * elements, 0, mean == 0 ? RowF32 : new Tolerance(1e-10, 3e-5), RowBf16, s =>
            {
                TestTensor x = inPlace ? s.InOut(batch, rows, cols, layout) : s.Input(batch, rows, cols, layout, offset: mean);
                TestTensor y = inPlace ? x : s.Output(batch, rows, cols, layout);
                TestTensor? gain = scale ? s.Parameter(modulations, 1, cols, 0.5) : null, move = shift ? s.Parameter(modulations, 1, cols) : null;
                Modulation m = new(move?.Tensor ?? default, gain?.Tensor ?? default, offset);
                s.Expect(y, (b, r) => Reference.LayerNorm(Reference.Row(x, b, r), gain, move, offset, 1e-6, b));
                return () => s.Backend.LayerNormModulate(x.Tensor, m, y.Tensor);
            });
    }

    /// <param name="batch">B.</param>
    /// <param name="rows">L.</param>
    /// <param name="heads">H.</param>
    /// <param name="headWidth">Dh.</param>
    /// <param name="layout">Of q and k.</param>
    /// <param name="perRow">Norm over the whole row.</param>
    /// <param name="rope">Samples of the table: 0 for none.</param>
    /// <param name="ropeRows">Rows of the table; 0 for all.</param>
    /// <param name="keys">Whether there are keys.</param>
    /// <param name="keyRows">Rows of the keys; 0 for L.</param>
    private static OpCase QkNormRope(
        int batch, int rows, int heads, int headWidth, Layout layout = Layout.Dense, bool perRow = false, int rope = 1, int ropeRows = 0, bool keys = true,
        int keyRows = 0)
    {
        int width = heads * headWidth;
        ropeRows = ropeRows == 0 ? rows : ropeRows;
        keyRows = keyRows == 0 ? rows : keyRows;
        string variant = $"{(layout == Layout.Dense ? "" : $" {layout}")}{(perRow ? " per row" : "")}"
            + $"{(rope == 0 ? " no rope" : rope > 1 ? " rope per sample" : "")}"
            + $"{(ropeRows == rows ? "" : $" rope {ropeRows}")}{(keys ? "" : " no keys")}{(keyRows == rows ? "" : $" keys {keyRows}")}";
        double elements = (double)batch * (rows + (keys ? keyRows : 0)) * width;
        return new OpCase($"qk_norm_rope {batch}x{rows}x{heads}x{headWidth}{variant}", 8 * elements, 2 * elements, 0, RowF32, RowBf16, s =>
        {
            TestTensor q = s.InOut(batch, rows, width, layout);
            TestTensor? k = keys ? s.InOut(batch, keyRows, width, layout, scale: 3) : null;
            TestTensor qScale = s.Parameter(1, 1, perRow ? width : headWidth), kScale = s.Parameter(1, 1, perRow ? width : headWidth);
            TestTensor? cos = rope == 0 ? null : s.Parameter(rope, ropeRows, headWidth / 2), sin = rope == 0 ? null
                : s.Parameter(rope, ropeRows, headWidth / 2);
            QkNorm norm = new(qScale.Tensor, keys ? kScale.Tensor : default);
            RopeTable table = new(cos?.Tensor ?? default, sin?.Tensor ?? default);
            s.Expect(q, (b, r) => Reference.QkNormRope(q, qScale, cos, sin, heads, 1e-6, b, r));
            if (k != null)
            {
                s.Expect(k, (b, r) => Reference.QkNormRope(k, kScale, cos, sin, heads, 1e-6, b, r));
            }

            return () => s.Backend.QkNormRope(q.Tensor, k?.Tensor ?? default, norm, table, heads);
        });
    }

    private static IEnumerable<OpCase> Elements()
    {
        foreach ((int batch, int rows, int cols, Layout layout) in new[]
        {
            (1, 1, 1, Layout.Dense), (1, 7, 33, Layout.Dense), (2, 129, 20, Layout.Columns), (3, 5, 96, Layout.Rows), (1, 1536, 3072, Layout.Dense),
        })
        {
            double elements = (double)batch * rows * cols;
            string shape = $"{batch}x{rows}x{cols}{(layout == Layout.Dense ? "" : $" {layout}")}";
            yield return new OpCase($"subtract {shape}", elements, 3 * elements, 0, RowF32, RowBf16, s =>
            {
                TestTensor a = s.Input(batch, rows, cols, layout), b = s.Input(batch, rows, cols), into = s.Output(batch, rows, cols, layout);
                s.Expect(into, (n, r) => Reference.Map(cols, i => a.At(n, r, i) - b.At(n, r, i)));
                return () => s.Backend.Subtract(a.Tensor, b.Tensor, into.Tensor);
            });
            yield return new OpCase($"euler_step {shape}", 2 * elements, elements, 8 * elements, RowF32, RowF32, s =>
            {
                TestTensor x = s.InOut(batch, rows, cols, layout, DType.F32), v = s.Input(batch, rows, cols, layout), dt = s.Scalars(-0.0625);
                s.Expect(x, (n, r) => Reference.Map(cols, i => x.At(n, r, i) - (0.0625 * v.At(n, r, i))));
                return () => s.Backend.EulerStep(x.Tensor, v.Tensor, dt.Tensor);
            });
            yield return new OpCase($"guide {shape}", 3 * elements, 3 * elements, 0, RowF32, new Tolerance(1e-4, 0.25), s =>
            {
                TestTensor c = s.Input(batch, rows, cols, layout), u = s.Input(batch, rows, cols), scale = s.Scalars(5),
                    into = s.Output(batch, rows, cols, layout);
                s.Expect(into, (n, r) => Reference.Map(cols, i => u.At(n, r, i) + (5 * (c.At(n, r, i) - u.At(n, r, i)))));
                return () => s.Backend.Guide(c.Tensor, u.Tensor, scale.Tensor, into.Tensor);
            });
            yield return new OpCase($"mean_rows {shape}", elements, elements, 0, RowF32, RowBf16, s =>
            {
                TestTensor x = s.Input(batch, rows, cols, layout, offset: 1), y = s.Output(batch, 1, cols);
                s.Expect(y, (n, _) => Reference.Map(cols, i => Enumerable.Range(0, rows).Average(r => x.At(n, r, i))));
                return () => s.Backend.MeanRows(x.Tensor, y.Tensor);
            });
            foreach (Epilogue activation in Enum.GetValues<Epilogue>())
            {
                yield return Activate(batch, rows, cols, layout, activation, null, null, shape);
            }
        }

        yield return Activate(2, 9, 300, Layout.Rows, Epilogue.None, DType.F32, DType.BF16, "2x9x300 Rows F32 to BF16");
        yield return Activate(2, 9, 300, Layout.Columns, Epilogue.GeluTanh, DType.BF16, DType.F32, "2x9x300 Columns BF16 to F32");
        yield return Activate(1, 3, 17, Layout.Dense, Epilogue.Silu, DType.BF16, DType.BF16, "1x3x17 BF16 to BF16");
        yield return TimestepEmbed(256, 1000, 0.5, 0, 999.25);
        yield return TimestepEmbed(2, 6016);
        yield return TimestepEmbed(30, 1, 2, 3);
        yield return Patches(16, 1, 8, 12, 1, 2, 2, channelsFirst: true, batch: 1);
        yield return Patches(3, 1, 10, 14, 1, 2, 2, channelsFirst: true, batch: 2);
        yield return Patches(4, 3, 6, 10, 1, 2, 2, channelsFirst: false, batch: 2);
        yield return Patches(5, 4, 6, 9, 2, 2, 3, channelsFirst: true, batch: 1);
        yield return Patches(5, 4, 6, 9, 2, 2, 3, channelsFirst: false, batch: 1);
    }

    private static OpCase Activate(int batch, int rows, int cols, Layout layout, Epilogue activation, DType? from, DType? to, string shape)
    {
        double elements = (double)batch * rows * cols;
        return new OpCase(
            $"activate {activation} {shape}", (activation == Epilogue.None ? 0 : 20) * elements, 2 * elements, 0, to == DType.BF16 ? RowBf16 : RowF32, RowBf16,
            s =>
            {
                TestTensor x = s.Input(batch, rows, cols, layout, from, scale: 2), y = s.Output(batch, rows, cols, layout, to);
                s.Expect(y, (b, r) => Reference.Map(cols, i => Reference.Activate(x.At(b, r, i), activation)));
                return () => s.Backend.Activate(x.Tensor, y.Tensor, activation);
            });
    }

    private static OpCase TimestepEmbed(int width, params double[] times) => new(
        $"timestep_embed {times.Length}x{width}", 60.0 * times.Length * width, (double)times.Length * width, 0, new Tolerance(1e-13, 1e-7), RowBf16, s =>
        {
            TestTensor values = s.Scalars(times), y = s.Output(times.Length, 1, width);
            s.Expect(y, (b, _) => Reference.TimestepEmbed(values.At(b, 0, 0), width, 10000));
            return () => s.Backend.TimestepEmbed(values.Tensor, y.Tensor);
        });

    /// <summary>There and back: the tokens are right, and the latents made of them are those we came from.</summary>
    private static OpCase Patches(int channels, int frames, int height, int width, int pf, int ph, int pw, bool channelsFirst, int batch)
    {
        PatchGeometry g = new(channels, frames, height, width, pf, ph, pw, channelsFirst);
        int elements = channels * frames * height * width;
        return new OpCase(
            $"patchify {batch}x{channels}x{frames}x{height}x{width} by {pf}x{ph}x{pw} {(channelsFirst ? "channels first" : "channels last")}",
            0, 4.0 * batch * elements, 0, new Tolerance(0, 0), new Tolerance(0, 0), s =>
            {
                TestTensor latents = s.Input(batch, 1, elements), tokens = s.Output(batch, g.Tokens, g.TokenWidth, Layout.Columns),
                    back = s.Output(batch, 1, elements);
                s.Expect(tokens, (b, t) => Reference.Token(latents, g, b, t));
                s.Expect(back, (b, _) => Reference.Row(latents, b, 0));
                return () =>
                {
                    s.Backend.Patchify(latents.Tensor, g, tokens.Tensor);
                    s.Backend.Unpatchify(tokens.Tensor, g, back.Tensor);
                };
            });
    }
}
