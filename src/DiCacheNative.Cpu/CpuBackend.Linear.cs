using DiCacheNative.Backends;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Linear layers.</content>
public sealed unsafe partial class CpuBackend
{
    // Columns per task of our own kernels: see LinearKernel.
    private const int ManagedColumns = 384;

    // Blocks handed to oneDNN, which packs both operands anew in each call: large enough to pay for it.
    private const int OneDnnRows = 512, OneDnnColumns = 192;

    /// <summary>
    /// Packs the weight of a linear layer. Sources of one 16-bit type keep it, at two bytes per weight, and give the same bits as the same
    /// numbers in F32.
    /// </summary>
    /// <param name="source">Matrices and biases.</param>
    /// <exception cref="ShapeException">The parts do not stack.</exception>
    /// <exception cref="BackendException">Not enough memory.</exception>
    public LinearWeight CreateLinear(in LinearSource source)
    {
        (int n, int k) = OpValidation.Linear(source);
        WeightLayout layout = _gemm == GemmEngine.OneDnn ? WeightLayout.Plain : WeightLayout.Panels;
        DType type = _precision == CpuPrecision.Bf16 ? DType.BF16 : WeightPacking.StoredType(source);
        CpuWeight weight = new(source.Name, n, k, type, layout, 3 * _kernels.Width);
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
        OpValidation.Linear(ActivationType, x, weight, y);
        CpuWeight w = weight as CpuWeight ?? throw new ArgumentException($"the weight {weight.Name} was made by another backend", nameof(weight));
        w.RequireAlive();
        lock (_gate)
        {
            if (w.Layout == WeightLayout.Panels)
            {
                LinearArguments a = LinearArguments.Of(x, w, y, epilogue, LinearArguments.RowsPerTask, ManagedColumns);
                RequirePanels(w);
                a.ScratchPerWorker = _kernels.LinearScratch;
                a.Scratch = WorkerScratch(a.ScratchPerWorker);
                _team.Run(_kernels.Linear, &a, a.Tasks);
            }
            else
            {
                LinearArguments a = LinearArguments.Of(x, w, y, epilogue, OneDnnRows, OneDnnColumns);
                bool bf16 = _precision == CpuPrecision.Bf16;
                long widened = w.Type == DType.F32 ? 0 : (long)a.PanelsPerBlock * a.PanelWidth * a.K * sizeof(float);
                a.ScratchPerWorker = bf16 ? (long)a.RowsPerBlock * a.K * sizeof(ushort) : widened;
                a.Scratch = WorkerScratch(a.ScratchPerWorker);
                _team.Run(bf16 ? _kernels.OneDnnBf16 : _kernels.OneDnnF32, &a, a.Tasks);
            }
        }

        GC.KeepAlive(w);
    }

    private static GemmEngine ResolveEngine(CpuBackendOptions options)
    {
        OneDnn library = OneDnn.Library;
        if (options.Precision == CpuPrecision.Bf16)
        {
            if (options.Gemm == GemmEngine.Managed || !library.HasBf16)
            {
                throw new BackendException($"bf16 matrix products need oneDNN with dnnl_gemm_bf16bf16f32: {library.Reason}; choose f32");
            }

            return GemmEngine.OneDnn;
        }

        if (options.Gemm == GemmEngine.OneDnn && !library.IsAvailable)
        {
            throw new BackendException($"{library.Reason}; choose the managed matrix engine");
        }

        return options.Gemm == GemmEngine.Auto ? GemmEngine.Managed : options.Gemm;
    }

    private string DescribeEngine() => _gemm == GemmEngine.OneDnn
        ? OneDnn.Library.Name
        : $"managed kernels ({OneDnn.Library.Reason}{(OneDnn.Library.IsAvailable ? ", not used: ours are as fast" : "")})";

    private void RequirePanels(CpuWeight weight)
    {
        if (weight.PanelWidth != 3 * _kernels.Width)
        {
            throw new ArgumentException($"the weight {weight.Name} was packed for another vector width", nameof(weight));
        }
    }
}
