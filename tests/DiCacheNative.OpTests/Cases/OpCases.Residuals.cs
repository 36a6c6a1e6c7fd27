using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <content>The residual stream and the DiCache operations.</content>
public static partial class OpCases
{
    private static Tolerance SumF32 => new(1e-13, 1e-6);

    private static Tolerance SumBf16 => new(1e-5, 1e-3);

    // Operation by operation in BF16, every difference is rounded to 8 bits before it is summed.
    private static Tolerance SumBf16Unfused => new(1e-4, 4e-3);

    private static IEnumerable<OpCase> Residuals()
    {
        yield return Residual(1, 1, 1);
        yield return Residual(1, 7, 33, gates: 0);
        yield return Residual(2, 129, 20, gates: 2, layout: Layout.Columns);
        yield return Residual(3, 5, 96, layout: Layout.Rows, norm: true);
        yield return Residual(2, 9, 28, residual: true, inPlace: true);
        yield return Residual(2, 35, 56, norm: true, residual: true, probe: true);
        yield return Residual(1, 30, 97, norm: true, residual: true, probe: true, inPlace: true, layout: Layout.Rows);
        yield return Residual(1, 256, 160, norm: true, inPlace: true);
        yield return Residual(1, 1536, 3072, inPlace: true);
        yield return Residual(1, 1536, 3072, norm: true, inPlace: true);
        yield return Residual(1, 1536, 3072, norm: true, residual: true, probe: true, inPlace: true);
    }

    private static OpCase Residual(
        int batch, int rows, int cols, int gates = 1, Layout layout = Layout.Dense, bool norm = false, bool residual = false, bool probe = false,
        bool inPlace = false)
    {
        string variant = $"{(gates == 0 ? " no gate" : "")}{(layout == Layout.Dense ? "" : $" {layout}")}"
            + $"{(norm ? " +norm" : "")}{(residual ? " +residual" : "")}"
            + $"{(probe ? " +probe" : "")}{(inPlace ? " in place" : "")}";
        double elements = (double)batch * rows * cols;
        int maps = 3 + (norm ? 1 : 0) + (residual ? 2 : 0) + (probe ? 5 : 0);
        return new OpCase($"gated_residual {batch}x{rows}x{cols}{variant}", 2 * elements, maps * elements, 0, RowF32, RowBf16, s =>
        {
            TestTensor x = inPlace ? s.InOut(batch, rows, cols, layout) : s.Input(batch, rows, cols, layout), y = s.Input(batch, rows, cols);
            TestTensor into = inPlace ? x : s.Output(batch, rows, cols, layout);
            TestTensor? gate = gates == 0 ? null : s.Parameter(gates, 1, cols);
            double[] Sum(int b, int r) => Reference.GatedResidual(x, y, gate, b, r);
            s.Expect(into, Sum);

            ResidualExtras extras = default;
            if (norm)
            {
                TestTensor scale = s.Parameter(1, 1, cols, 0.5), shift = s.Parameter(batch, 1, cols), output = s.Output(batch, rows, cols);
                extras = extras with { Norm = new NextNorm(new Modulation(shift.Tensor, scale.Tensor), output.Tensor) };
                s.Expect(output, (b, r) => Reference.LayerNorm(Sum(b, r), scale, shift, 1, 1e-6, b));
            }

            if (residual)
            {
                TestTensor origin = s.Input(batch, rows, cols), output = s.Output(batch, rows, cols, layout);
                extras = extras with { ResidualOrigin = origin.Tensor, Residual = output.Tensor };
                s.Expect(output, (b, r) =>
                {
                    double[] sum = Sum(b, r);
                    return Reference.Map(cols, i => sum[i] - origin.At(b, r, i));
                });
            }

            if (probe)
            {
                (ProbeInputs inputs, TestTensor[] t) = ProbeOperands(s, batch, rows, cols, layout);
                TestTensor sums = s.Output(1, 1, ProbeSums.Count, type: DType.F32);
                extras = extras with { Probe = inputs with { Probe = default }, ProbeSums = sums.Tensor };
                s.Expect(sums, (_, _) => Reference.Probe(Sum, x, t[1], t[2], t[3], t[4], t[5]));
            }

            return () => s.Backend.GatedResidual(x.Tensor, y.Tensor, gate?.Tensor ?? default, into.Tensor, extras);
        });
    }

    private static IEnumerable<OpCase> Probes()
    {
        foreach (ProbeForm form in Enum.GetValues<ProbeForm>())
        {
            yield return Probe(form, 1, 1, 1);
            yield return Probe(form, 1, 13, 7);
            yield return Probe(form, 2, 129, 33, Layout.Rows);
            yield return Probe(form, 3, 5, 96, Layout.Columns);
            yield return Probe(form, 1, 1024, 3072);
            yield return Blend(form, 1, 1, 1);
            yield return Blend(form, 1, 7, 33, older: false);
            yield return Blend(form, 2, 129, 20, Layout.Columns);
            yield return Blend(form, 3, 5, 96, Layout.Rows, norm: true);
            yield return Blend(form, 1, 11, 100, norm: true, inPlace: true);
            yield return Blend(form, 1, 1024, 3072, norm: true);
        }

        yield return Probe(ProbeForm.Fused, 1, 30, 96, only: "change");
        yield return Probe(ProbeForm.Fused, 1, 30, 96, only: "gamma");
        foreach (ProbeForm form in Enum.GetValues<ProbeForm>())
        {
            yield return Probe(form, 2, 30, 33, only: "numerator");
        }

        yield return Blend(ProbeForm.Epilogue, 2, 30, 33, norm: true, normOnly: true);
        yield return Blend(ProbeForm.Epilogue, 1, 11, 100, Layout.Rows, older: false, norm: true, normOnly: true);
    }

    private static OpCase Probe(ProbeForm form, int batch, int rows, int cols, Layout layout = Layout.Dense, string only = "")
    {
        double elements = (double)batch * rows * cols;
        return new OpCase(
            $"probe_l1 {form} {batch}x{rows}x{cols}{(layout == Layout.Dense ? "" : $" {layout}")}{(only.Length == 0 ? "" : $" only {only}")}",
            15 * elements, 6 * elements, 0, SumF32, form == ProbeForm.Unfused ? SumBf16Unfused : SumBf16, s =>
            {
                (ProbeInputs inputs, TestTensor[] t) = ProbeOperands(s, batch, rows, cols, layout);
                TestTensor sums = s.Output(1, 1, ProbeSums.Count, type: DType.F32);
                bool change = only is not ("gamma" or "numerator"), gamma = only != "change", denominator = only != "numerator";
                inputs = inputs with
                {
                    PreviousProbe = change ? inputs.PreviousProbe : default,
                    PreviousInput = only.Length == 0 ? inputs.PreviousInput : default,
                    Input = gamma ? inputs.Input : default,
                    OlderProbeResidual = gamma ? inputs.OlderProbeResidual : default,
                    NewerProbeResidual = gamma && denominator ? inputs.NewerProbeResidual : default,
                };
                s.Expect(sums, (_, _) => Reference.Probe(
                    (b, r) => Reference.Row(t[0], b, r), t[0], change ? t[1] : null, t[2], only.Length == 0 ? t[3] : null, gamma ? t[4] : null, denominator
                        ? t[5] : null));
                return () => s.Backend.ProbeL1(inputs, sums.Tensor, form);
            });
    }

    private static OpCase Blend(ProbeForm form, int batch, int rows, int cols, Layout layout = Layout.Dense, bool older = true, bool norm = false,
        bool inPlace = false, bool normOnly = false)
    {
        double elements = (double)batch * rows * cols;
        string variant = $"{(layout == Layout.Dense ? "" : $" {layout}")}{(older ? "" : " reuse")}{(norm ? " +norm" : "")}"
            + $"{(inPlace ? " in place" : "")}{(normOnly ? " only" : "")}";
        return new OpCase($"trajectory_blend {form} {batch}x{rows}x{cols}{variant}", 4 * elements, (norm ? 5 : 4) * elements, 0, RowF32, RowBf16, s =>
        {
            TestTensor x = inPlace ? s.InOut(batch, rows, cols, layout) : s.Input(batch, rows, cols, layout), r1 = s.Input(batch, rows, cols, layout);
            TestTensor? r2 = older ? s.Input(batch, rows, cols) : null;
            TestTensor? into = normOnly ? null : inPlace ? x : s.Output(batch, rows, cols, layout);
            TestTensor gamma = s.Scalars(1.375);
            double[] Result(int b, int r) => Reference.Map(
                cols, i => x.At(b, r, i) + (r2 == null ? r1.At(b, r, i) : r2.At(b, r, i) + (1.375 * (r1.At(b, r, i) - r2.At(b, r, i)))));
            if (into is not null)
            {
                s.Expect(into, Result);
            }

            BlendInputs inputs = new(x.Tensor, r1.Tensor, r2?.Tensor ?? default, older ? gamma.Tensor : default);
            NextNorm next = default;
            if (norm)
            {
                TestTensor scale = s.Parameter(1, 1, cols, 0.5), shift = s.Parameter(1, 1, cols), output = s.Output(batch, rows, cols);
                next = new NextNorm(new Modulation(shift.Tensor, scale.Tensor), output.Tensor);
                s.Expect(output, (b, r) => Reference.LayerNorm(Result(b, r), scale, shift, 1, 1e-6, b));
            }

            return () => s.Backend.TrajectoryBlend(inputs, into?.Tensor ?? default, form, next);
        });
    }

    /// <summary>The six maps of a probe: neighbours in time differ by a few percent, as in a model.</summary>
    private static (ProbeInputs Inputs, TestTensor[] Maps) ProbeOperands(CaseSetup s, int batch, int rows, int cols, Layout layout)
    {
        TestTensor[] t = [.. Enumerable.Range(0, 6).Select(_ => s.Input(batch, rows, cols, layout))];
        return (new ProbeInputs(t[0].Tensor, t[1].Tensor, t[2].Tensor, t[3].Tensor, t[4].Tensor, t[5].Tensor), t);
    }
}
