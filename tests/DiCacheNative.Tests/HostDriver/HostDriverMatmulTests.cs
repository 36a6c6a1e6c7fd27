namespace DiCacheNative.Tests.HostDriver;

/// <summary>cuBLASLt's stand-in against a plain loop.</summary>
[Collection("host driver")]
public sealed unsafe class HostDriverMatmulTests
{
    private const int F32 = 0;
    private const int BF16 = 14;
    private const int Default = 1;
    private const int Bias = 4;
    private const int GeluBias = 36;
    private const int InvalidValue = 7;
    private const int ExecutionFailed = 13;
    private const int InternalError = 14;
    private const int NotSupported = 15;
    private const int ColumnOrder = 0;
    private const int RowOrder = 1;

    private const int TransposeA = 3;
    private const int TransposeB = 4;
    private const int Epilogue = 7;
    private const int BiasPointer = 8;
    private const int LayoutOrder = 1;
    private const int LayoutBatches = 5;
    private const int LayoutBatchStride = 6;

    private sealed record Case(
        int M, int N, int K, int Type, int ResultType, bool TransposeA, bool TransposeB, int Epilogue, int Order, int Batches, float Beta);

    public static TheoryData<int> Cases => [.. Enumerable.Range(0, All.Length)];

    private static readonly Case[] All =
    [
        new(1, 1, 1, F32, F32, false, false, Default, ColumnOrder, 1, 0),
        new(17, 7, 33, F32, F32, false, false, Default, ColumnOrder, 1, 0),
        new(65, 13, 40, F32, F32, true, false, Bias, ColumnOrder, 1, 0),
        new(130, 31, 64, BF16, BF16, true, false, GeluBias, ColumnOrder, 1, 0),
        new(64, 6, 48, BF16, F32, true, true, Default, ColumnOrder, 3, 1),
        new(20, 9, 16, BF16, BF16, false, true, Default, RowOrder, 2, 0),
        new(33, 5, 8, F32, F32, false, false, Default, RowOrder, 1, 0.5f),
    ];

    [Theory]
    [MemberData(nameof(Cases))]
    public void Products_equal_a_plain_loop(int index)
    {
        Case c = All[index];
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Random random = new(index);
        Matrix a = c.TransposeA ? new(random, c.K, c.M, c.Type, c) : new(random, c.M, c.K, c.Type, c);
        Matrix b = c.TransposeB ? new(random, c.N, c.K, c.Type, c) : new(random, c.K, c.N, c.Type, c);
        Matrix d = new(random, c.M, c.N, c.ResultType, c);
        Matrix bias = new(random, c.M, 1, c.ResultType, c with { Batches = 1, Order = ColumnOrder });
        nint memoryA = a.Upload(s), memoryB = b.Upload(s), memoryD = d.Upload(s), memoryBias = bias.Upload(s);

        Assert.Equal(0, Multiply(s, c, a, memoryA, b, memoryB, d, memoryD, memoryBias));

        float[] result = d.Download(s, memoryD);
        for (int batch = 0; batch < c.Batches; batch++)
        {
            for (int i = 0; i < c.M; i++)
            {
                for (int j = 0; j < c.N; j++)
                {
                    double sum = c.Beta * d[batch, i, j];
                    for (int k = 0; k < c.K; k++)
                    {
                        sum += (double)(c.TransposeA ? a[batch, k, i] : a[batch, i, k]) * (c.TransposeB ? b[batch, j, k] : b[batch, k, j]);
                    }

                    sum += c.Epilogue == Default ? 0 : bias[0, i, 0];
                    double expected = c.Epilogue == GeluBias ? Gelu(sum) : sum;
                    double tolerance = c.ResultType == F32 ? 1e-5 * Math.Sqrt(c.K) : (Math.Abs(expected) / 256) + 1e-4;
                    Assert.Equal(expected, result[d.Index(batch, i, j)], tolerance);
                }
            }
        }

        Array.ForEach([memoryA, memoryB, memoryD, memoryBias], m => s.Check(s.Free(m)));
        Assert.Equal("", s.Stop());
        Assert.Equal("", s.Findings);
    }

    [Fact]
    public void A_product_that_reaches_beyond_its_memory_is_found()
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Case c = new(16, 4, 8, F32, F32, false, false, Default, ColumnOrder, 1, 0);
        Matrix a = new(new Random(1), 16, 8, F32, c), b = new(new Random(2), 8, 4, F32, c), d = new(new Random(3), 16, 4, F32, c);
        nint memoryA = a.Upload(s), memoryB = b.Upload(s), tooSmall = s.Allocate((16 * 4 * 4) - 4);

        Assert.Equal(0, Multiply(s, c, a, memoryA, b, memoryB, d, tooSmall, 0));

        Assert.Equal(HostDriverSession.IllegalAddress, s.Synchronize());
        Assert.Contains("out of bounds: matrix D of a product covers 256 bytes", s.Findings, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cuBLASLt_has_no_kernel_for_is_refused()
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Case c = new(16, 4, 8, F32, F32, false, false, Bias, RowOrder, 1, 0);
        Matrix a = new(new Random(1), 16, 8, F32, c), b = new(new Random(2), 8, 4, F32, c), d = new(new Random(3), 16, 4, F32, c);

        Assert.Equal(NotSupported, Multiply(s, c, a, a.Upload(s), b, b.Upload(s), d, d.Upload(s), d.Upload(s)));
    }

    [Fact]
    public void While_a_stream_captures_no_algorithm_is_found_and_no_kernel_used_for_the_first_time()
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Product used = Plain(s, 16, 4, 8, Default), other = Plain(s, 16, 4, 8, Bias);
        Assert.Equal(0, used.Ask(0, out _));
        Assert.Equal(0, other.Ask(0, out _));
        Assert.Equal(0, used.Run(0, 0));

        s.Check(s.Call("cuStreamBeginCapture_v2", s.Stream, 1));
        Assert.Equal(0, used.Run(0, 0));
        Assert.Equal("", s.Findings);
        Assert.Equal(ExecutionFailed, other.Run(0, 0));
        Assert.Equal(InternalError, used.Ask(0, out int count));

        Assert.Equal(0, count);
        Assert.Contains("cublasLtMatmul uses a kernel for the first time, and loads it, while a stream is capturing", s.Findings, StringComparison.Ordinal);
        Assert.Contains("cublasLtMatmulAlgoGetHeuristic while a stream is capturing", s.Findings, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 9, 8, Bias, InvalidValue, 0)]
    [InlineData(9, 4, 1, Bias, 0, 0)]
    [InlineData(9, 4, 1, GeluBias, 0, 0)]
    [InlineData(1, 9, 8, Default, 0, 1)]
    [InlineData(9, 4, 1, Default, 0, 1)]
    public void Vectors_have_no_kernel_with_a_bias(int m, int n, int k, int epilogue, int status, int count)
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);

        Assert.Equal((status, count), (Plain(s, m, n, k, epilogue).Ask(0, out int found), found));
    }

    [Fact]
    public void A_workspace_is_needed_where_it_was_asked_for_and_what_it_held_is_lost()
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Product product = Plain(s, 8, 4, 64, Default);
        Assert.Equal(0, product.Ask(0, out _));
        Assert.Equal(0, product.WorkspaceBytes);
        Assert.Equal(0, product.Ask(1 << 20, out _));
        int bytes = (int)product.WorkspaceBytes;
        Assert.Equal(4 * 8 * 4 * sizeof(float), bytes);
        nint workspace = s.Upload<byte>(new byte[bytes]);

        Assert.Equal(InvalidValue, product.Run(workspace, bytes - 1));
        Assert.Equal(0, product.Run(workspace, bytes));

        Assert.All(s.Download<byte>(workspace, bytes), b => Assert.Equal(0xFF, b));
        Assert.Equal(32 << 20, Large(s).WorkspaceBytes);
        Assert.Equal("", s.Findings);
    }

    private static Product Large(HostDriverSession s)
    {
        Product product = Plain(s, 2048, 2048, 1, Default);
        Assert.Equal(0, product.Ask(32 << 20, out _));
        return product;
    }

    private static double Gelu(double x) => 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))));

    private static int Multiply(HostDriverSession s, Case c, Matrix a, nint memoryA, Matrix b, nint memoryB, Matrix d, nint memoryD, nint bias)
    {
        Product product = new(s, c, a, memoryA, b, memoryB, d, memoryD, bias);
        int status = product.Ask(workspaceBytes: 0, out int count);
        if (status == 0)
        {
            Assert.Equal(1, count);
            status = product.Run(0, 0);
        }

        product.Destroy();
        return status;
    }

    private static Product Plain(HostDriverSession s, int m, int n, int k, int epilogue)
    {
        Case c = new(m, n, k, F32, F32, false, false, epilogue, ColumnOrder, 1, 0);
        Random random = new(1);
        Matrix a = new(random, m, k, F32, c), b = new(random, k, n, F32, c), d = new(random, m, n, F32, c);
        return new Product(s, c, a, a.Upload(s), b, b.Upload(s), d, d.Upload(s), s.Upload<float>(new float[m]));
    }

    /// <summary>A product as the library is asked for it: first for an algorithm, then to run.</summary>
    private sealed class Product
    {
        private readonly HostDriverSession _session;
        private readonly nint _library, _description, _preference, _layoutA, _layoutB, _layoutD, _memoryA, _memoryB, _memoryD;
        private readonly float _beta;
        private readonly byte[] _found = new byte[96];

        public Product(HostDriverSession s, Case c, Matrix a, nint memoryA, Matrix b, nint memoryB, Matrix d, nint memoryD, nint bias)
        {
            (_session, _memoryA, _memoryB, _memoryD, _beta) = (s, memoryA, memoryB, memoryD, c.Beta);
            nint library = 0, description = 0, preference = 0;
            s.Check(((delegate* unmanaged<nint*, int>)s.Library["cublasLtCreate"])(&library));
            s.Check(((delegate* unmanaged<nint*, int, int, int>)s.Library["cublasLtMatmulDescCreate"])(&description, 68, F32));
            s.Check(((delegate* unmanaged<nint*, int>)s.Library["cublasLtMatmulPreferenceCreate"])(&preference));
            (_library, _description, _preference) = (library, description, preference);
            Set(s, "cublasLtMatmulDescSetAttribute", description, TransposeA, c.TransposeA ? 1 : 0);
            Set(s, "cublasLtMatmulDescSetAttribute", description, TransposeB, c.TransposeB ? 1 : 0);
            Set(s, "cublasLtMatmulDescSetAttribute", description, Epilogue, c.Epilogue);
            Set(s, "cublasLtMatmulDescSetAttribute", description, BiasPointer, (long)bias);
            (_layoutA, _layoutB, _layoutD) = (a.Layout(s), b.Layout(s), d.Layout(s));
        }

        /// <summary>Bytes of workspace that the algorithm found wants.</summary>
        public long WorkspaceBytes => BitConverter.ToInt64(_found, 64);

        public int Ask(long workspaceBytes, out int count)
        {
            Set(_session, "cublasLtMatmulPreferenceSetAttribute", _preference, 1, workspaceBytes);
            fixed (byte* found = _found)
            fixed (int* n = &count)
            {
                return ((delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, byte*, int*,
                    int>)_session.Library["cublasLtMatmulAlgoGetHeuristic"])(
                    _library, _description, _layoutA, _layoutB, _layoutD, _layoutD, _preference, 1, found, n);
            }
        }

        public int Run(nint workspace, long bytes)
        {
            float alpha = 1, beta = _beta;
            var multiply = (delegate* unmanaged<nint, nint, void*, nint, nint, nint, nint, void*, nint, nint, nint, nint, byte*, nint, nuint, nint, int>)
                _session.Library["cublasLtMatmul"];
            fixed (byte* found = _found)
            {
                return multiply(
                    _library,
                    _description,
                    &alpha,
                    _memoryA,
                    _layoutA,
                    _memoryB,
                    _layoutB,
                    &beta,
                    _memoryD,
                    _layoutD,
                    _memoryD,
                    _layoutD,
                    found,
                    workspace,
                    (nuint)bytes,
                    _session.Stream);
            }
        }

        public void Destroy()
        {
            HostDriverSession s = _session;
            Array.ForEach([_layoutA, _layoutB, _layoutD], l => s.Check(s.Call("cublasLtMatrixLayoutDestroy", l)));
            s.Check(s.Call("cublasLtMatmulPreferenceDestroy", _preference));
            s.Check(s.Call("cublasLtMatmulDescDestroy", _description));
            s.Check(s.Call("cublasLtDestroy", _library));
        }
    }

    private static void Set<T>(HostDriverSession s, string entry, nint target, int attribute, T value)
        where T : unmanaged =>
        s.Check(((delegate* unmanaged<nint, int, void*, nuint, int>)s.Library[entry])(target, attribute, &value, (nuint)sizeof(T)));

    /// <summary>Random values with rows longer than they need to be, in either order, one matrix per batch.</summary>
    private sealed class Matrix
    {
        private readonly int _rows;
        private readonly int _columns;
        private readonly int _type;
        private readonly int _leading;
        private readonly Case _case;
        private readonly float[] _values;

        public Matrix(Random random, int rows, int columns, int type, Case c)
        {
            (_rows, _columns, _type, _case) = (rows, columns, type, c);
            bool padded = columns > 1 && c.Batches > 1;
            _leading = (c.Order == ColumnOrder ? rows : columns) + (padded ? 3 : 0);
            _values = new float[Stride * c.Batches];
            for (int i = 0; i < _values.Length; i++)
            {
                float value = (random.NextSingle() * 2) - 1;
                _values[i] = type == F32 ? value : BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000);
            }
        }

        private int Stride => _leading * (_case.Order == ColumnOrder ? _columns : _rows);

        public float this[int batch, int row, int column] => _values[Index(batch, row, column)];

        public int Index(int batch, int row, int column) =>
            (batch * Stride) + (_case.Order == ColumnOrder ? (column * _leading) + row : (row * _leading) + column);

        public nint Upload(HostDriverSession s) =>
            _type == F32 ? s.Upload<float>(_values) : s.Upload<ushort>([.. _values.Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))]);

        public float[] Download(HostDriverSession s, nint memory) =>
            _type == F32
                ? s.Download<float>(memory, _values.Length)
                : [.. s.Download<ushort>(memory, _values.Length).Select(v => BitConverter.UInt32BitsToSingle((uint)v << 16))];

        public nint Layout(HostDriverSession s)
        {
            nint layout = 0;
            s.Check(((delegate* unmanaged<nint*, int, ulong, ulong, long, int>)s.Library["cublasLtMatrixLayoutCreate"])(
                &layout, _type, (ulong)_rows, (ulong)_columns, _leading));
            Set(s, "cublasLtMatrixLayoutSetAttribute", layout, LayoutOrder, _case.Order);
            Set(s, "cublasLtMatrixLayoutSetAttribute", layout, LayoutBatches, _case.Batches);
            Set(s, "cublasLtMatrixLayoutSetAttribute", layout, LayoutBatchStride, (long)Stride);
            return layout;
        }
    }
}
