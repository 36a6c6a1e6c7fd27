using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests;

/// <summary>What does not fit is refused, by name and with both shapes; what fits is let through. No memory is touched.</summary>
public sealed class OpValidationTests
{
    private const DType Act = DType.F32;

    private static int _next = 1 << 20;

    [Fact]
    public void Linear_names_the_operand_and_both_shapes()
    {
        using FakeWeight w = new(8, 4);
        OpValidation.Linear(Act, New(2, 3, 4), w, New(2, 3, 8));
        Refuses(() => OpValidation.Linear(Act, New(2, 3, 5), w, New(2, 3, 8)), "linear: x [2, 3, 5] F32", "test [8, 4]");
        Refuses(() => OpValidation.Linear(Act, New(2, 3, 4), w, New(2, 3, 9)), "linear: y [2, 3, 9] F32", "test [8, 4]");
        Refuses(() => OpValidation.Linear(Act, New(2, 3, 4), w, New(2, 4, 8)), "y [2, 4, 8] F32", "x [2, 3, 4] F32");
        Refuses(() => OpValidation.Linear(Act, New(2, 3, 4, DType.BF16), w, New(2, 3, 8)), "x [2, 3, 4] BF16", "F32");
        Refuses(() => OpValidation.Linear(Act, default, w, New(2, 3, 8)), "operand x is missing");
        Tensor both = New(1, 6, 8);
        OpValidation.Linear(Act, both.SliceCols(0, 4).SliceRows(0, 3), w, both.SliceRows(3, 3));
        Refuses(() => OpValidation.Linear(Act, both.SliceCols(0, 4), w, both), "y [1, 6, 8] F32 shares memory with x [1, 6, 4] F32");
        Assert.Throws<ArgumentNullException>(() => OpValidation.Linear(Act, both, null!, both));
    }

    [Fact]
    public void Parts_of_a_weight_must_stack()
    {
        HostTensor a = Host("a", 3, 4), b = Host("b", 2, 4), bias = Host("c", 3), bias2 = Host("d", 2);
        Assert.Equal((5, 4), OpValidation.Linear(new LinearSource("w", [a, b], [bias, bias2])));
        Refuses(() => OpValidation.Linear(new LinearSource("w", [], [])), "w has no parts");
        Refuses(() => OpValidation.Linear(new LinearSource("w", [a, Host("b", 2, 5)], [])), "b [2, 5]", "a [3, 4]");
        Refuses(() => OpValidation.Linear(new LinearSource("w", [a, b], [bias])), "2 matrices and 1 biases");
        Refuses(() => OpValidation.Linear(new LinearSource("w", [a], [bias2])), "d [2]", "a [3, 4]");
        Refuses(() => OpValidation.Linear(new LinearSource("w", [bias], [])), "c [3]", "matrix");
        Refuses(() => OpValidation.Linear(new LinearSource("w", [new HostTensor("i", 64, DType.I64, [2, 2])], [])), "I64");
    }

    [Fact]
    public void Modulations_are_given_for_one_sample_or_for_all()
    {
        Tensor x = New(3, 5, 8), y = New(3, 5, 8);
        OpValidation.LayerNormModulate(Act, x, new Modulation(New(1, 1, 8), New(3, 1, 8)), y);
        OpValidation.LayerNormModulate(Act, x, default, x);
        Refuses(() => OpValidation.LayerNormModulate(Act, x, new Modulation(New(2, 1, 8), default), y), "modulation.Shift [2, 1, 8] F32", "[3 or 1, 1, 8]");
        Refuses(() => OpValidation.LayerNormModulate(Act, x, new Modulation(default, New(1, 5, 8)), y), "modulation.Scale [1, 5, 8] F32");
        Refuses(() => OpValidation.LayerNormModulate(Act, x, default, New(3, 5, 7)), "y [3, 5, 7] F32", "x [3, 5, 8] F32");
        Refuses(() => OpValidation.LayerNormModulate(Act, x.SliceRows(0, 4), default, x.SliceRows(1, 4)), "shares part of its memory");
    }

    [Fact]
    public void Heads_must_divide_the_width_and_be_no_wider_than_256()
    {
        Tensor q = New(2, 5, 12), k = New(2, 5, 12);
        QkNorm norm = new(New(1, 1, 4), New(1, 1, 4));
        RopeTable rope = new(New(1, 5, 2), New(1, 5, 2));
        OpValidation.QkNormRope(Act, q, k, norm, rope, 3);
        OpValidation.QkNormRope(Act, q, default, new QkNorm(New(1, 1, 12), default), new RopeTable(New(2, 3, 2), New(2, 3, 2)), 3);
        Refuses(() => OpValidation.QkNormRope(Act, q, k, norm, rope, 5), "q [2, 5, 12] F32", "5 heads");
        Refuses(() => OpValidation.QkNormRope(Act, q, k, norm, rope, 2), "norm.Query [1, 1, 4] F32", "[1, 1, 6]");
        Refuses(() => OpValidation.QkNormRope(Act, q, k, norm, new RopeTable(New(1, 6, 2), New(1, 6, 2)), 3), "rope.Cos [1, 6, 2] F32", "up to 5");
        Refuses(() => OpValidation.QkNormRope(Act, q, k, norm, new RopeTable(New(1, 5, 2), default), 3), "rope.Sin none");
        Refuses(() => OpValidation.QkNormRope(Act, q, New(2, 6, 12), norm, rope, 3), "k [2, 6, 12] F32", "q [2, 5, 12] F32");
        Refuses(() => OpValidation.QkNormRope(Act, q, q, norm, rope, 3), "k [2, 5, 12] F32 shares memory with q");
        Refuses(() => OpValidation.QkNormRope(Act, q, k, default, rope, 3), "norm.Query is missing");
        Tensor wide = New(1, 1, 257);
        Refuses(() => OpValidation.Attention(Act, wide, New(1, 1, 257), New(1, 1, 257), New(1, 1, 257), 1), "at most 256");
    }

    [Fact]
    public void Attention_takes_slices_of_one_buffer_but_not_its_own_output()
    {
        Tensor qkv = New(2, 7, 36), o = New(2, 7, 12);
        Tensor q = qkv.SliceCols(0, 12), k = qkv.SliceCols(12, 12), v = qkv.SliceCols(24, 12);
        OpValidation.Attention(Act, q, k, v, o, 3);
        OpValidation.Attention(Act, q.SliceRows(0, 2), k, v, o.SliceRows(0, 2), 3);
        Refuses(() => OpValidation.Attention(Act, q, k, v, q, 3), "o [2, 7, 12] F32 shares memory with q");
        Refuses(() => OpValidation.Attention(Act, q, k, v.SliceRows(0, 6), o, 3), "v [2, 6, 12] F32", "k [2, 7, 12] F32");
        Refuses(() => OpValidation.Attention(Act, q, k.SliceBatch(0), v.SliceBatch(0), o, 3), "k [1, 7, 12] F32", "q [2, 7, 12] F32");
    }

    [Fact]
    public void A_residual_addition_checks_each_extra()
    {
        Tensor x = New(2, 5, 8), y = New(2, 5, 8), into = New(2, 5, 8), sums = New(1, 1, 6), gate = New(2, 1, 8);
        ProbeInputs probe = new(default, New(2, 5, 8), New(2, 5, 8), New(2, 5, 8), New(2, 5, 8), New(2, 5, 8));
        ResidualExtras all = new(new NextNorm(default, New(2, 5, 8)), probe, sums, New(2, 5, 8), New(2, 5, 8));
        OpValidation.GatedResidual(Act, x, y, gate, into, all);
        OpValidation.GatedResidual(Act, x, y, default, x, default);
        Refuses(() => OpValidation.GatedResidual(Act, x, y, New(1, 5, 8), into, default), "gate [1, 5, 8] F32");
        Refuses(() => OpValidation.GatedResidual(Act, x, New(2, 5, 9), gate, into, default), "y [2, 5, 9] F32");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Residual = default }), "extras.Residual none");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Residual = into }), "extras.Residual", "into");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Norm = new NextNorm(default, into) }), "norm.Output", "into");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { ProbeSums = New(1, 1, 5) }), "sums [1, 1, 5] F32", "[1, 1, 6]");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Probe = probe with { Probe = into } }), "extras.Probe.Probe");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Probe = probe with { PreviousProbe = into } }), "into", "PreviousProbe");
        Refuses(() => OpValidation.GatedResidual(Act, x, y, gate, into, all with { Probe = probe with { Input = default } }), "without Input");
    }

    [Fact]
    public void A_probe_needs_maps_of_one_shape_and_its_groups_complete()
    {
        Tensor p = New(1, 4, 8), sums = New(1, 1, 6);
        OpValidation.ProbeL1(Act, new ProbeInputs(p, New(1, 4, 8)), sums);
        Refuses(() => OpValidation.ProbeL1(Act, default, sums), "inputs.Probe is missing");
        Refuses(() => OpValidation.ProbeL1(Act, new ProbeInputs(p, New(1, 5, 8)), sums), "PreviousProbe [1, 5, 8] F32", "probe [1, 4, 8] F32");
        Refuses(() => OpValidation.ProbeL1(Act, new ProbeInputs(p, default, p, default, default, p), sums), "gamma needs", "OlderProbeResidual none");
        Refuses(() => OpValidation.ProbeL1(Act, new ProbeInputs(p, default, default, default, p), sums), "gamma needs", "Input none");
        Refuses(() => OpValidation.ProbeL1(Act, new ProbeInputs(p, default, default, p), sums), "without Input");
        Tensor bf16 = New(1, 4, 8, DType.BF16);
        Refuses(() => OpValidation.ProbeL1(DType.BF16, new ProbeInputs(bf16, p), sums), "PreviousProbe [1, 4, 8] F32", "probe [1, 4, 8] BF16");
        Refuses(() => OpValidation.ProbeL1(Act, new ProbeInputs(New(1, 1, 6), sums), sums), "shares memory");
    }

    [Fact]
    public void A_blend_needs_gamma_only_for_two_residuals()
    {
        Tensor x = New(1, 4, 8), r1 = New(1, 4, 8), r2 = New(1, 4, 8), into = New(1, 4, 8);
        OpValidation.TrajectoryBlend(Act, new BlendInputs(x, r1), into, default);
        OpValidation.TrajectoryBlend(Act, new BlendInputs(x, r1, r2, New(1, 1, 1)), x, new NextNorm(default, New(1, 4, 8)));
        Refuses(() => OpValidation.TrajectoryBlend(Act, new BlendInputs(x, r1, r2), into, default), "inputs.Gamma is missing");
        Refuses(() => OpValidation.TrajectoryBlend(Act, new BlendInputs(x, r1, r2, New(1, 1, 2)), into, default), "inputs.Gamma [1, 1, 2] F32");
        Refuses(() => OpValidation.TrajectoryBlend(Act, new BlendInputs(x, New(1, 4, 7)), into, default), "inputs.NewerResidual [1, 4, 7] F32");
        Refuses(() => OpValidation.TrajectoryBlend(Act, new BlendInputs(x, r1), into, new NextNorm(default, into)), "norm.Output");
    }

    [Fact]
    public void Small_operations_check_their_shapes()
    {
        Tensor a = New(2, 3, 4), b = New(2, 3, 4), one = New(1, 1, 1);
        OpValidation.Subtract(Act, a, b, a);
        OpValidation.Activate(a, New(2, 3, 4, DType.BF16));
        OpValidation.EulerStep(Act, a, b, one);
        OpValidation.Guide(Act, a, b, one, b);
        OpValidation.MeanRows(Act, a, New(2, 1, 4));
        OpValidation.TimestepEmbed(Act, New(2, 1, 1), New(2, 1, 6));
        Refuses(() => OpValidation.Subtract(Act, a, New(2, 3, 5), a), "b [2, 3, 5] F32", "a [2, 3, 4] F32");
        Refuses(() => OpValidation.Activate(a, New(2, 3, 4, DType.I32)), "y [2, 3, 4] I32");
        Refuses(() => OpValidation.EulerStep(Act, a, b, New(1, 1, 2)), "dt [1, 1, 2] F32");
        Refuses(() => OpValidation.Guide(Act, a, b, default, b), "scale is missing");
        Refuses(() => OpValidation.MeanRows(Act, a, New(2, 2, 4)), "y [2, 2, 4] F32", "x [2, 3, 4] F32");
        Refuses(() => OpValidation.TimestepEmbed(Act, New(2, 1, 1), New(2, 1, 7)), "y [2, 1, 7] F32", "even");
    }

    [Fact]
    public void Patches_must_tile_the_latent()
    {
        PatchGeometry g = new(4, 1, 6, 8, 1, 2, 2, true);
        OpValidation.Patchify(Act, New(2, 1, 192), g, New(2, 12, 16), toTokens: true);
        Refuses(() => OpValidation.Patchify(Act, New(2, 1, 192), g with { Height = 5 }, New(2, 12, 16), true), "patchify: latents [4, 1, 5, 8]", "1 x 2 x 2");
        Refuses(() => OpValidation.Patchify(Act, New(2, 1, 190), g, New(2, 12, 16), false), "unpatchify: latents [2, 1, 190] F32", "[B, 1, 192]");
        Refuses(() => OpValidation.Patchify(Act, New(2, 1, 192), g, New(2, 12, 15), true), "tokens [2, 12, 15] F32", "[2, 12, 16]");
    }

    [Fact]
    public void Strides_that_would_write_twice_are_refused()
    {
        Tensor a = New(2, 3, 4), b = New(2, 3, 4);
        Refuses(() => OpValidation.Subtract(Act, a, b, New(2, 3, 4) with { BatchStride = 0 }), "write elements twice");
        Refuses(() => OpValidation.Subtract(Act, a, b, New(2, 3, 4) with { RowStride = 3 }), "rows must not overlap");
        Refuses(() => OpValidation.Subtract(Act, a with { Data = a.Data + 2 }, b, New(2, 3, 4)), "whole element");
        Refuses(() => OpValidation.Subtract(Act, a with { Rows = 0 }, b, b), "no elements");
        OpValidation.Subtract(Act, a with { BatchStride = 0 }, b, New(2, 3, 4));
        OpValidation.Subtract(Act, a, b, New(2, 3, 4) with { BatchStride = 4, RowStride = 8 });
    }

    [Fact]
    public void Overlap_of_views_agrees_with_comparing_every_element()
    {
        Random random = new(5);
        int found = 0;
        for (int i = 0; i < 20_000; i++)
        {
            Tensor a = Random(random), b = Random(random);
            bool same = a.RowStride == b.RowStride && a.BatchStride == b.BatchStride;
            HashSet<nint> elements = [.. Elements(a)];
            bool overlap = Elements(b).Any(elements.Contains);
            if (same)
            {
                Assert.Equal(overlap, OpValidation.Overlap(a, b));
            }
            else
            {
                Assert.True(OpValidation.Overlap(a, b) || !overlap, $"{a} and {b} overlap");
            }

            Assert.Equal(OpValidation.Overlap(a, b), OpValidation.Overlap(b, a));
            found += overlap ? 1 : 0;
        }

        Assert.InRange(found, 1000, 19_000);
    }

    [Fact]
    public void A_check_that_passes_allocates_nothing()
    {
        using FakeWeight w = new(8, 4);
        Tensor x = New(2, 3, 4), y = New(2, 3, 8);
        OpValidation.Linear(Act, x, w, y);
        long before = GC.GetAllocatedBytesForCurrentThread();
        OpValidation.Linear(Act, x, w, y);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static void Refuses(Action check, params string[] parts)
    {
        ShapeException error = Assert.Throws<ShapeException>(check);
        Assert.All(parts, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    /// <summary>A tensor at an address of its own; nobody looks at the memory.</summary>
    private static Tensor New(int batch, int rows, int cols, DType type = DType.F32) =>
        Tensor.Dense(Interlocked.Add(ref _next, 1 << 14), type, batch, rows, cols);

    private static HostTensor Host(string name, params int[] shape) => new(name, 64, DType.F32, shape);

    private static Tensor Random(Random random)
    {
        long row = random.Next(4, 7), batch = random.Next(3) == 0 ? 5 * row : 6 * row;
        return new Tensor((nint)(4096 + (4 * random.Next(60))), DType.F32, random.Next(1, 3), random.Next(1, 4), random.Next(1, 4), batch, row);
    }

    private static IEnumerable<nint> Elements(Tensor t)
    {
        for (int b = 0; b < t.Batch; b++)
        {
            for (int r = 0; r < t.Rows; r++)
            {
                for (int c = 0; c < t.Cols; c++)
                {
                    yield return t.Data + (nint)(4 * ((b * t.BatchStride) + (r * t.RowStride) + c));
                }
            }
        }
    }

    private sealed class FakeWeight(int n, int k) : LinearWeight("test", n, k)
    {
        public override long Bytes => 0;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
