using DiCacheNative.Backends;
using DiCacheNative.OpTests.Cases;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests;

/// <summary>Every case of <see cref="OpCases"/> on one backend against plain loops in double precision.</summary>
public abstract class BackendOpTests
{
    // Rows of an output that are compared at most; the first, the last and some between are enough to find what goes wrong.
    private const int RowsCompared = 40;

    /// <summary>The backend, or a reason to skip.</summary>
    protected abstract IBackend Backend { get; }

    /// <summary>Cases with more operations are left to the benchmark.</summary>
    protected virtual double FlopLimit => 1e9;

    /// <summary>Cases with more bytes of operands are left to the benchmark.</summary>
    protected virtual double ByteLimit => 8e6;

    public static TheoryData<string> SmallCaseNames => [.. OpCases.All.Where(c => c.Flops < 2e5 && c.Bytes(DType.F32) < 2e5).Select(c => c.Name)];

    public static TheoryData<string> CaseNames => [.. OpCases.All.Select(c => c.Name)];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void Agrees_with_plain_loops_in_double_precision(string name)
    {
        OpCase test = OpCases.Named(name);
        IBackend backend = Backend;
        Assert.SkipWhen(test.Flops > FlopLimit || test.Bytes(DType.F32) > ByteLimit, "left to the benchmark");
        using CaseSetup setup = new(backend);
        Action run = test.Prepare(setup);
        run();
        Assert.NotEmpty(setup.Expected);
        foreach ((TestTensor output, Func<int, int, double[]> row) in setup.Expected)
        {
            Compare(backend, output, row, test.Tolerance(backend.ActivationType));
        }
    }

    [Theory]
    [MemberData(nameof(SmallCaseNames))]
    public void Refuses_operands_whose_memory_was_freed(string name)
    {
        IBackend backend = Backend;
        OpCase test = OpCases.Named(name);
        int operands = 1, refused = 0;
        for (int freed = 0; freed < operands; freed++)
        {
            using CaseSetup setup = new(backend);
            Action run = test.Prepare(setup);
            operands = setup.Operands.Count;
            setup.Operands[freed].Dispose();
            if (Record.Exception(run) is { } refusal)
            {
                refused++;
                string owner = setup.Operands[freed] is Arena ? nameof(Arena) : nameof(LinearWeight);
                Assert.Equal(owner, Assert.IsType<ObjectDisposedException>(refusal).ObjectName);
            }
        }

        // Cases that leave operands out make up to four that they do not use.
        bool leavesOut = new[] { " only ", " reuse", " no keys", " +probe" }.Any(part => name.Contains(part, StringComparison.Ordinal));
        Assert.InRange(refused, leavesOut ? operands - 4 : operands, operands);
    }

    [Fact]
    public void Refuses_transfers_and_plans_with_memory_that_was_freed()
    {
        IBackend backend = Backend;
        using Arena kept = backend.CreateArena(1024, "a test"), freed = backend.CreateArena(1024, "a test");
        Tensor x = freed.Allocate(DType.F32, 1, 1, 8), y = kept.Allocate(DType.F32, 1, 1, 8);
        backend.Upload(new float[8], x);
        using IStepPlan plan = backend.Record("copy", () => backend.Activate(x, y));
        plan.Run();
        backend.Synchronize();
        freed.Dispose();
        freed.Dispose();
        Assert.Equal(nameof(Arena), Assert.Throws<ObjectDisposedException>(() => backend.Upload(new float[8], x)).ObjectName);
        Tensor part = x.Reshape(1, 2, 4).SliceRows(1, 1);
        Assert.Equal(nameof(Arena), Assert.Throws<ObjectDisposedException>(() => backend.Download(part, new float[4])).ObjectName);
        Assert.Equal(nameof(Arena), Assert.Throws<ObjectDisposedException>(plan.Run).ObjectName);
        Assert.Throws<ObjectDisposedException>(() => freed.Allocate(DType.F32, 1, 1, 8));
    }

    private static void Compare(IBackend backend, TestTensor output, Func<int, int, double[]> expected, Tolerance tolerance)
    {
        float[] all = new float[output.Parent.Count];
        backend.Download(output.Parent, all);
        double error = 0, norm = 0, largest = 0;
        int rows = output.Batch * output.Rows, step = Math.Max(1, rows / RowsCompared);
        for (int i = 0; i < rows; i = i == rows - 1 ? rows : Math.Min(rows - 1, i + step))
        {
            int batch = i / output.Rows, row = i % output.Rows;
            double[] reference = expected(batch, row);
            for (int c = 0; c < reference.Length; c++)
            {
                float actual = all[Offset(output, batch, row, c)];
                Assert.True(float.IsFinite(actual), $"element [{batch}, {row}, {c}] is {actual}, expected {reference[c]}");
                double difference = Math.Abs(actual - reference[c]);
                error += difference * difference;
                norm += reference[c] * reference[c];
                largest = Math.Max(largest, difference / Math.Max(1, Math.Abs(reference[c])));
            }
        }

        Assert.True(error <= tolerance.Nmse * norm, $"NMSE {error / norm:E2} is above {tolerance.Nmse:E2}");
        Assert.True(largest <= tolerance.MaxAbs, $"largest difference {largest:E2} is above {tolerance.MaxAbs:E2}");
        RequireGuardsUntouched(output, all);
    }

    private static void RequireGuardsUntouched(TestTensor output, float[] all)
    {
        for (long i = 0; i < all.Length; i++)
        {
            int col = (int)(i % output.Parent.Cols) - output.FirstCol, row = (int)(i / output.Parent.Cols % output.Parent.Rows) - output.FirstRow;
            bool outside = col < 0 || col >= output.Cols || row < 0 || row >= output.Rows;
            Assert.False(outside && all[i] != CaseSetup.Untouched, $"wrote outside its view: {all[i]} at element {i} of {output.Parent}");
        }
    }

    private static long Offset(TestTensor output, int batch, int row, int col)
    {
        Tensor p = output.Parent;
        return ((((long)batch * p.Rows) + output.FirstRow + row) * p.Cols) + output.FirstCol + col;
    }
}
