using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <summary>All cases of all operations. The tests run every one of them; the benchmark times those that its filter names.</summary>
public static partial class OpCases
{
    // Element-wise and row-wise operations in F32 are right to a few roundings; BF16 rounds the result to 8 bits.
    private static Tolerance RowF32 => new(1e-12, 1e-5);

    private static Tolerance RowBf16 => new(1e-4, 0.06);

    /// <summary>Every case; names are unique.</summary>
    public static IReadOnlyList<OpCase> All { get; } = [.. Linears(), .. Attentions(), .. Norms(), .. Residuals(), .. Elements(), .. Probes()];

    /// <summary>The case of a name.</summary>
    public static OpCase Named(string name) => All.First(c => c.Name == name);

    private static IEnumerable<OpCase> Linears()
    {
        yield return Linear(1, 1, 1, 1);
        yield return Linear(1, 1, 7, 5);
        yield return Linear(1, 7, 129, 20, Epilogue.GeluTanh);
        yield return Linear(1, 129, 100, 70, Epilogue.Silu);
        yield return Linear(1, 3, 96, 513, Epilogue.GeluErf);
        yield return Linear(1, 130, 145, 769);
        yield return Linear(1, 8, 48, 512, bias: false);
        yield return Linear(1, 5, 24, 16, bias: false, epilogue: Epilogue.GeluTanh);
        yield return Linear(2, 1, 300, 64, Epilogue.Silu);
        yield return Linear(2, 30, 288, 96, xLayout: Layout.Rows, yLayout: Layout.Rows);
        yield return Linear(3, 17, 64, 96, xLayout: Layout.Columns, yLayout: Layout.Columns, epilogue: Epilogue.GeluTanh);
        yield return Linear(2, 129, 56, 224, xLayout: Layout.Dense, yLayout: Layout.Rows);
        foreach (DType type in new[] { DType.BF16, DType.F16, DType.F64 })
        {
            yield return Linear(1, 1, 100, 70, type: type);
            yield return Linear(1, 37, 130, 600, type: type, epilogue: Epilogue.GeluTanh, parts: 3);
        }

        for (int rows = 1; rows <= 9; rows++)
        {
            yield return Linear(1, rows, 50, 33, parts: 2);
        }

        yield return Linear(1, 1, 1100, 900, Epilogue.Silu);
        yield return Linear(1, 256, 480, 160);
        yield return Linear(1, 256, 640, 160, Epilogue.GeluTanh);
        yield return Linear(1, 300, 580, 800, Epilogue.GeluTanh);
        yield return Linear(1, 300, 580, 800, type: DType.BF16);
        yield return Linear(1, 1, 3072, 3072, Epilogue.Silu);
        yield return Linear(1, 16, 3072, 3072);
        yield return Linear(1, 16, 3072, 3072, type: DType.BF16);
        yield return Linear(1, 512, 3072, 3072);
        yield return Linear(1, 512, 3072, 3072, type: DType.BF16);
        yield return Linear(1, 1024, 2048, 512, Epilogue.GeluTanh);
        yield return Linear(1, 1024, 512, 2048);
        yield return Linear(1, 1536, 12288, 3072, Epilogue.GeluTanh);
    }

    private static OpCase Linear(
        int batch, int rows, int n, int k, Epilogue epilogue = Epilogue.None, DType type = DType.F32, bool bias = true, int parts = 1,
        Layout xLayout = Layout.Dense, Layout yLayout = Layout.Dense)
    {
        string variant = $"{(epilogue == Epilogue.None ? "" : $" {epilogue}")}{(bias ? "" : " no bias")}{(type == DType.F32 ? "" : $" {type} weight")}"
            + $"{(parts == 1 ? "" : $" of {parts} parts")}{(xLayout == Layout.Dense ? "" : $" x {xLayout}")}{(yLayout == Layout.Dense ? "" : $" y {yLayout}")}";
        double m = (double)batch * rows;
        return new OpCase(
            $"linear {(batch == 1 ? "" : $"{batch}x")}{rows}x{n}x{k}{variant}", 2 * m * n * k, (m * k) + (m * n), (double)n * k * type.Size(),
            new Tolerance(1e-11, 2e-5), new Tolerance(2e-4, 0.06), s =>
            {
                TestTensor x = s.Input(batch, rows, k, xLayout), y = s.Output(batch, rows, n, yLayout);
                TestWeight w = s.Weight(n, k, type, bias, parts);
                s.Expect(y, (b, r) => Reference.Linear(x, w, epilogue, b, r));
                return () => s.Backend.Linear(x.Tensor, w.Weight, y.Tensor, epilogue);
            });
    }

    private static IEnumerable<OpCase> Attentions()
    {
        yield return Attention(1, 1, 32, 1, 1);
        yield return Attention(1, 2, 20, 7, 7);
        yield return Attention(2, 3, 28, 44, 44, Layout.Columns);
        yield return Attention(2, 3, 32, 41, 41, Layout.Rows);
        yield return Attention(1, 1, 128, 241, 241, Layout.Columns);
        yield return Attention(1, 3, 32, 129, 193);
        yield return Attention(1, 1, 256, 5, 400);
        yield return Attention(1, 2, 9, 11, 50);
        yield return Attention(1, 2, 72, 70, 130, Layout.Columns);
        yield return Attention(1, 1, 100, 33, 65);
        yield return Attention(2, 1, 136, 66, 129, Layout.Rows);
        yield return Attention(1, 2, 64, 300, 1);
        yield return Attention(1, 1, 40, 9, 1000, spread: 6);
        yield return Attention(1, 5, 32, 288, 288, Layout.Columns);
        yield return Attention(1, 2, 128, 515, 515, Layout.Columns);
        yield return Attention(1, 24, 128, 1536, 1536, Layout.Columns);
        yield return Attention(1, 12, 128, 4680, 4680, Layout.Columns);
    }

    /// <param name="batch">B.</param>
    /// <param name="heads">H.</param>
    /// <param name="headWidth">Dh.</param>
    /// <param name="queries">Lq.</param>
    /// <param name="keys">Lk.</param>
    /// <param name="layout">Of q, k and v.</param>
    /// <param name="spread">Standard deviation of the queries: large for a sharp softmax.</param>
    private static OpCase Attention(int batch, int heads, int headWidth, int queries, int keys, Layout layout = Layout.Dense, double spread = 1)
    {
        int width = heads * headWidth;
        string variant = $"{(layout == Layout.Dense ? "" : $" {layout}")}{(spread == 1 ? "" : " sharp")}";
        return new OpCase(
            $"attention {batch}x{heads}x{headWidth} {queries}x{keys}{variant}", 4.0 * batch * queries * keys * width, 2.0 * batch * width * (queries + keys), 0,
            new Tolerance(1e-11, 1e-5), new Tolerance(2e-4, 0.04), s =>
            {
                TestTensor q = s.Input(batch, queries, width, layout, scale: spread), k = s.Input(batch, keys, width, layout);
                TestTensor v = s.Input(batch, keys, width, layout), o = s.Output(batch, queries, width, layout == Layout.Columns ? Layout.Dense : layout);
                float scale = 1 / MathF.Sqrt(headWidth);
                s.Expect(o, (b, r) => Reference.Attention(q, k, v, heads, scale, b, r));
                return () => s.Backend.Attention(q.Tensor, k.Tensor, v.Tensor, o.Tensor, heads, scale);
            });
    }
}
