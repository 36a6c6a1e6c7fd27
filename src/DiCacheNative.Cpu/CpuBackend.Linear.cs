using DiCacheNative.Backends;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Linear layers.</content>
public sealed unsafe partial class CpuBackend
{
    // Blocks of our own kernels: the inputs are packed already, so a task need not be large.
    private static readonly TaskShape ManagedTask = new(LinearArguments.RowsPerTask, 384, AtLeast: 16);

    // Blocks handed to oneDNN, which packs both operands anew in each call: as large as leaves a few for each thread. Measured at
    // 512 x 3072 x 3072 on one thread of Zen 4: columns 192, 384, 768, 1536, all: 73, 76, 80, 83, 83 % of the peak.
    private static readonly TaskShape OneDnnTask = new(512, 768, AtLeast: 4);

    // In bf16 the weights need no packing, and the inputs are rounded per task.
    private static readonly TaskShape Bf16Task = new(128, 1536, AtLeast: 4);

    /// <summary>
    /// Packs the weight of a linear layer. Sources of one 16-bit type keep it, at two bytes per weight, and give the same bits as the same
    /// numbers in F32, unless products are computed in bf16.
    /// </summary>
    /// <param name="source">Matrices and biases.</param>
    /// <exception cref="ShapeException">The parts do not stack.</exception>
    /// <exception cref="BackendException">Not enough memory.</exception>
    public LinearWeight CreateLinear(in LinearSource source)
    {
        using Lifetime.Use use = _lifetime.Enter();
        (int n, int k) = OpValidation.Linear(source);
        DType stored = WeightPacking.StoredType(source);
        bool bf16 = _precision == CpuPrecision.Bf16 || (_precision == CpuPrecision.Auto && Bf16IsFaster && stored == DType.BF16);
        WeightLayout layout = (bf16 ? _bf16Gemm : _gemm) == GemmEngine.OneDnn ? WeightLayout.Plain : WeightLayout.Panels;
        CpuWeight weight = new(source.Name, n, k, bf16 ? DType.BF16 : stored, layout, 3 * _kernels.Width) { RoundsInputs = bf16 };
        try
        {
            WeightPacking.Fill(weight, source, _team);
        }
        catch
        {
            weight.Dispose();
            throw;
        }

        return weight;
    }

    /// <inheritdoc/>
    public void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Linear(ActivationType, x, weight, y);
        CpuWeight w = weight as CpuWeight ?? throw new ArgumentException($"the weight {weight.Name} was made by another backend", nameof(weight));
        MatrixRows rows = MatrixRows.Of(x, y);
        LinearArguments a = LinearArguments.Of(w, epilogue);
        int rowsPerRun = EvenParts(rows.Rows, LinearArguments.RowsPerRun);
        lock (_gate)
        {
            for (int matrix = 0; matrix < rows.Matrices; matrix++)
            {
                float* from = (float*)x.Data + (matrix * x.BatchStride), to = (float*)y.Data + (matrix * y.BatchStride);
                for (int first = 0; first < rows.Rows; first += rowsPerRun)
                {
                    int count = Math.Min(rowsPerRun, rows.Rows - first);
                    bool managed = w.Layout == WeightLayout.Panels;
                    TaskShape shape = managed ? ManagedTask : w.RoundsInputs ? Bf16Task : OneDnnTask;
                    a.Take(from + (first * rows.XStride), rows.XStride, to + (first * rows.YStride), rows.YStride, count, shape);
                    if (managed)
                    {
                        MultiplyManaged(ref a, w);
                    }
                    else
                    {
                        MultiplyOneDnn(ref a);
                    }
                }
            }
        }

        GC.KeepAlive(w);
    }

    private void MultiplyManaged(ref LinearArguments arguments, CpuWeight weight)
    {
        if (weight.PanelWidth != 3 * _kernels.Width)
        {
            throw new ArgumentException($"the weight {weight.Name} was packed for another vector width", nameof(weight));
        }

        LinearArguments a = arguments;
        long rows = (a.M + _kernels.TileRows - 1L) / _kernels.TileRows * _kernels.TileRows;
        a.ScratchPerWorker = _kernels.LinearScratch;
        a.Scratch = WorkerScratch(a.ScratchPerWorker);
        if (a.SharesInputs)
        {
            a.Inputs = (float*)_sharedScratch.Ensure(rows * a.K * sizeof(float));
            _team.Run(_kernels.PackLinear, &a, a.PackingTasks);
        }

        _team.Run(_kernels.Linear, &a, a.Tasks);
    }

    private void MultiplyOneDnn(ref LinearArguments arguments)
    {
        LinearArguments a = arguments;
        bool bf16 = a.RoundsInputs;
        long widened = a.WeightType == DType.F32 ? 0 : (long)a.PanelsPerBlock * a.PanelWidth * a.K * sizeof(float);
        a.ScratchPerWorker = bf16 ? (long)a.RowsPerBlock * a.K * sizeof(ushort) : widened;
        a.Scratch = WorkerScratch(a.ScratchPerWorker);
        _team.Run(bf16 ? _kernels.OneDnnBf16 : _kernels.OneDnnF32, &a, a.Tasks);
    }

    /// <summary>Size of equal parts, whole tasks each, that are no larger than a limit.</summary>
    private static int EvenParts(int rows, int limit)
    {
        int parts = (rows + limit - 1) / limit, size = (rows + parts - 1) / parts;
        return parts == 1 ? rows : (size + LinearArguments.RowsPerTask - 1) / LinearArguments.RowsPerTask * LinearArguments.RowsPerTask;
    }

    /// <summary>Whether bf16 products take less time than binary32 ones here.</summary>
    private bool Bf16IsFaster => _bf16Gemm == GemmEngine.OneDnn && OneDnn.ProcessorHasBf16;

    private static GemmEngine ResolveEngine(GemmEngine engine)
    {
        if (engine == GemmEngine.OneDnn && !OneDnn.Library.IsAvailable)
        {
            throw new BackendException($"{OneDnn.Library.Reason}; choose the managed matrix engine");
        }

        return engine == GemmEngine.Auto ? GemmEngine.Managed : engine;
    }

    // oneDNN where it computes in bf16 and the processor does: an emulation is slower than our own kernels.
    private static GemmEngine ResolveBf16Engine(CpuBackendOptions options)
    {
        OneDnn library = OneDnn.Library;
        if (options.Gemm == GemmEngine.OneDnn && !library.HasBf16)
        {
            return options.Precision != CpuPrecision.Bf16 ? GemmEngine.Managed
                : throw new BackendException($"oneDNN does not multiply in bf16 on this processor ({library.Reason}); choose the managed matrix engine");
        }

        return options.Gemm == GemmEngine.Auto && library.HasBf16 && OneDnn.ProcessorHasBf16 ? GemmEngine.OneDnn : ResolveEngine(options.Gemm);
    }

    private string DescribeProducts()
    {
        OneDnn library = OneDnn.Library;
        string f32 = _gemm == GemmEngine.OneDnn
            ? $"f32 matrix products by {library.Name}"
            : $"f32 matrix products by managed kernels ({library.Reason}{(library.IsAvailable ? ", not used: ours are as fast" : "")})";
        string bf16 = _bf16Gemm == GemmEngine.OneDnn
            ? $"bf16 matrix products by {library.Name}"
            : $"bf16 matrix products by managed kernels, no faster than f32 ({WhyNoFastBf16(library)})";
        return _precision switch
        {
            CpuPrecision.Bf16 => bf16,
            CpuPrecision.Auto => Bf16IsFaster
                ? $"{bf16} for weights stored in bf16, f32 for others"
                : $"{f32}, for bf16 weights too: {WhyNoFastBf16(library)}",
            _ => f32,
        };
    }

    private static string WhyNoFastBf16(OneDnn library) =>
        !OneDnn.ProcessorHasBf16 ? "this processor has no bf16 instructions" : library.HasBf16 ? "they were chosen" : library.Reason;
}
