using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <summary>Operands of one case on one backend: seeded numbers, guarded memory, and what the outputs should be.</summary>
/// <param name="backend">Where the operation runs.</param>
/// <param name="seed">The same seed gives the same numbers on every backend.</param>
public sealed class CaseSetup(IBackend backend, int seed = 1) : IDisposable
{
    /// <summary>What outputs hold before, inside and around the view; exact in BF16.</summary>
    public const float Untouched = 12352f;

    private readonly Random _random = new(seed);
    private readonly List<IDisposable> _owned = [];

    public IBackend Backend => backend;

    /// <summary>The arena or weight of each operand, in the order of their making.</summary>
    public IReadOnlyList<IDisposable> Operands => [.. _owned.Where(o => o is Arena or LinearWeight)];

    /// <summary>What the operation should write, row by row of the view.</summary>
    public List<(TestTensor Output, Func<int, int, double[]> Row)> Expected { get; } = [];

    /// <summary>An input of the activation type, of mean 0 and variance 1, with NaN around the view.</summary>
    public TestTensor Input(int batch, int rows, int cols, Layout layout = Layout.Dense, DType? type = null, double scale = 1, double offset = 0) =>
        Make(batch, rows, cols, layout, type, float.NaN, () => offset + (scale * Next()));

    /// <summary>An operand that is also written: random inside, guarded outside.</summary>
    public TestTensor InOut(int batch, int rows, int cols, Layout layout = Layout.Dense, DType? type = null, double scale = 1) =>
        Make(batch, rows, cols, layout, type, Untouched, () => scale * Next());

    /// <summary>An output.</summary>
    public TestTensor Output(int batch, int rows, int cols, Layout layout = Layout.Dense, DType? type = null) =>
        Make(batch, rows, cols, layout, type, Untouched, () => Untouched);

    /// <summary>An F32 operand: a gate, a modulation, a table.</summary>
    public TestTensor Parameter(int batch, int rows, int cols, double scale = 1, double offset = 0) =>
        Input(batch, rows, cols, Layout.Dense, DType.F32, scale, offset);

    /// <summary>An F32 operand of given values, [B, 1, 1].</summary>
    public TestTensor Scalars(params double[] values)
    {
        int next = 0;
        return Make(values.Length, 1, 1, Layout.Dense, DType.F32, 0, () => values[next++]);
    }

    /// <summary>A weight [n, k] of order 1 / sqrt(k) in parts, as a fused qkv is made from three matrices.</summary>
    public TestWeight Weight(int n, int k, DType type = DType.F32, bool bias = true, int parts = 1)
    {
        List<HostTensor> weights = [], biases = [];
        List<double> w = [], b = [];
        for (int part = 0, first = 0; part < parts; part++)
        {
            int rows = part == parts - 1 ? n - first : n / parts;
            weights.Add(Matrix([rows, k], type, 1 / Math.Sqrt(k), w));
            if (bias)
            {
                biases.Add(Matrix([rows], type, 1, b));
            }

            first += rows;
        }

        LinearWeight weight = backend.CreateLinear(new LinearSource("test.weight", weights, biases));
        _owned.Add(weight);
        return new TestWeight(weight, [.. w], bias ? [.. b] : null);
    }

    /// <summary>Records what an output should be.</summary>
    public void Expect(TestTensor output, Func<int, int, double[]> row) => Expected.Add((output, row));

    public void Dispose()
    {
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }
    }

    /// <summary>A number rounded to a type, exactly as a backend would hold it.</summary>
    public static double Rounded(double value, DType type)
    {
        float single = (float)value;
        return type switch
        {
            DType.F16 => (double)(Half)single,
            DType.BF16 => BitConverter.UInt32BitsToSingle((BitConverter.SingleToUInt32Bits(single) + 0x7FFF
                + ((BitConverter.SingleToUInt32Bits(single) >> 16) & 1)) & 0xFFFF0000),
            _ => single,
        };
    }

    /// <summary>Uniform, mean 0, variance 1.</summary>
    private double Next() => ((2 * _random.NextDouble()) - 1) * 1.7320508075688772;

    private TestTensor Make(int batch, int rows, int cols, Layout layout, DType? type, float around, Func<double> next)
    {
        DType held = type ?? backend.ActivationType;
        int firstRow = layout == Layout.Rows ? 3 : 0, firstCol = layout == Layout.Columns ? cols : 0;
        int parentRows = layout == Layout.Rows ? rows + 5 : rows, parentCols = layout == Layout.Columns ? 3 * cols : cols;
        Arena arena = backend.CreateArena(((long)batch * parentRows * parentCols * held.Size()) + Arena.Alignment, "a test");
        _owned.Add(arena);
        Tensor parent = arena.Allocate(held, batch, parentRows, parentCols);
        Tensor view = parent.SliceRows(firstRow, rows).SliceCols(firstCol, cols);

        float[] all = new float[parent.Count];
        Array.Fill(all, around);
        double[] values = new double[view.Count];
        for (int i = 0; i < values.Length; i++)
        {
            int col = i % cols, row = i / cols % rows, sample = i / cols / rows;
            values[i] = Rounded(next(), held);
            all[((((long)sample * parentRows) + firstRow + row) * parentCols) + firstCol + col] = (float)values[i];
        }

        backend.Upload(all, parent);
        return new TestTensor(view, parent, firstRow, firstCol, values);
    }

    private unsafe HostTensor Matrix(int[] shape, DType type, double scale, List<double> values)
    {
        int count = shape.Aggregate(1, (a, b) => a * b);
        HostMemory memory = new(count * type.Size());
        _owned.Add(memory);
        for (int i = 0; i < count; i++)
        {
            double value = Rounded(scale * Next(), type);
            values.Add(value);
            switch (type)
            {
                case DType.F32:
                    ((float*)memory.Data)[i] = (float)value;
                    break;
                case DType.F16:
                    ((Half*)memory.Data)[i] = (Half)value;
                    break;
                case DType.BF16:
                    ((ushort*)memory.Data)[i] = (ushort)(BitConverter.SingleToUInt32Bits((float)value) >> 16);
                    break;
                default:
                    ((double*)memory.Data)[i] = value;
                    break;
            }
        }

        return new HostTensor("test.part", memory.Data, type, shape);
    }

    private sealed unsafe class HostMemory(int bytes) : IDisposable
    {
        public nint Data { get; private set; } = (nint)NativeMemory.Alloc((nuint)bytes);

        public void Dispose()
        {
            NativeMemory.Free((void*)Data);
            Data = 0;
        }
    }
}

/// <summary>A weight of a backend with its numbers.</summary>
/// <param name="Weight">The backend's.</param>
/// <param name="W">[n, k].</param>
/// <param name="Bias">[n], or none.</param>
public sealed record TestWeight(LinearWeight Weight, double[] W, double[]? Bias);
