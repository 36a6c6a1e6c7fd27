using DiCacheNative.Backends;
using DiCacheNative.Cpu.Gemm;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Cpu.Simd;
using DiCacheNative.Cpu.Threading;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <summary>
/// The operations in C# on the processor. They define what every other backend must compute. Results depend on the vector width and the
/// matrix engine, in the last bits, but not on the number of threads. Threads that use one backend at the same time take turns, operation
/// by operation.
/// </summary>
public sealed unsafe partial class CpuBackend : IBackend, IHasLifetime
{
    private readonly Lock _gate = new();
    private readonly Lifetime _lifetime;
    private readonly ThreadTeam _team;
    private readonly KernelTable _kernels;
    private readonly SimdLevel _simd;
    private readonly CpuPrecision _precision;
    private readonly GemmEngine _gemm, _bf16Gemm;

    // Scratch of the workers and of the operation as a whole; both only inside _gate.
    private readonly NativeBuffer _workerScratch = new(), _sharedScratch = new();

    /// <summary>Creates the backend and its threads.</summary>
    /// <param name="options">Choices; none for the defaults.</param>
    /// <exception cref="BackendException">The processor lacks the vector width asked for, or oneDNN is asked for and cannot be had.</exception>
    public CpuBackend(CpuBackendOptions? options = null)
    {
        options ??= new CpuBackendOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(options.Threads, nameof(options));
        _simd = SimdLevels.Resolve(options.Simd);
        _kernels = SimdLevels.Kernels(_simd);
        _precision = options.Precision;
        (_gemm, _bf16Gemm) = (ResolveEngine(options.Gemm), ResolveBf16Engine(options));
        _team = new ThreadTeam(options.Threads == 0 ? Environment.ProcessorCount : options.Threads);
        _lifetime = new Lifetime(nameof(CpuBackend), Free);
    }

    /// <inheritdoc/>
    public string Name => "cpu";

    /// <inheritdoc/>
    public string Description
    {
        get
        {
            string width = _simd == SimdLevel.Scalar ? "no vectors" : $"{_simd} ({_kernels.Width} floats)";
            string threads = _team.Threads == 1 ? "1 thread" : $"{_team.Threads} threads";
            return $"CPU, {width}, {threads}, {DescribeProducts()}";
        }
    }

    /// <inheritdoc/>
    public long Launches => _team.Runs;

    /// <inheritdoc/>
    public DType ActivationType => DType.F32;

    /// <inheritdoc/>
    public DType WeightType => _precision == CpuPrecision.Bf16 ? DType.BF16 : DType.F32;

    /// <inheritdoc/>
    Lifetime IHasLifetime.Lifetime => _lifetime;

    /// <summary>Allocates zero-filled memory.</summary>
    /// <param name="bytes">Size, as measured by <see cref="Arena.Measure"/>.</param>
    /// <param name="purpose">What it is for, for the message when it does not fit.</param>
    /// <exception cref="BackendException">Not enough memory: says needed, free and what to lower.</exception>
    public Arena CreateArena(long bytes, string purpose)
    {
        using Lifetime.Use use = _lifetime.Enter();
        return HostArena.Create(bytes, purpose);
    }

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<float> source, in Tensor destination)
    {
        using Lifetime.Use use = _lifetime.Enter();
        RequireTransfer(source.Length, destination);
        for (int b = 0; b < destination.Batch; b++)
        {
            for (int r = 0; r < destination.Rows; r++)
            {
                ReadOnlySpan<float> row = source.Slice(((b * destination.Rows) + r) * destination.Cols, destination.Cols);
                void* to = Address(destination, b, r);
                switch (destination.Type)
                {
                    case DType.F32:
                        row.CopyTo(new Span<float>(to, row.Length));
                        break;
                    case DType.BF16:
                        fixed (float* from = row)
                        {
                            Bf16Rows.Round(from, (ushort*)to, row.Length);
                        }

                        break;
                    default:
                        for (int c = 0; c < row.Length; c++)
                        {
                            ((Half*)to)[c] = (Half)row[c];
                        }

                        break;
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Download(in Tensor source, Span<float> destination)
    {
        using Lifetime.Use use = _lifetime.Enter();
        RequireTransfer(destination.Length, source);
        for (int b = 0; b < source.Batch; b++)
        {
            for (int r = 0; r < source.Rows; r++)
            {
                Span<float> row = destination.Slice(((b * source.Rows) + r) * source.Cols, source.Cols);
                void* from = Address(source, b, r);
                switch (source.Type)
                {
                    case DType.F32:
                        new ReadOnlySpan<float>(from, row.Length).CopyTo(row);
                        break;
                    case DType.BF16:
                        fixed (float* to = row)
                        {
                            Bf16Rows.Widen((ushort*)from, to, row.Length);
                        }

                        break;
                    default:
                        for (int c = 0; c < row.Length; c++)
                        {
                            row[c] = (float)((Half*)from)[c];
                        }

                        break;
                }
            }
        }
    }

    /// <summary>Returns at once: operations have ended when their call returns.</summary>
    public void Synchronize()
    {
        using Lifetime.Use use = _lifetime.Enter();
    }

    /// <summary>A plan that calls the action again.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="operations">What it runs.</param>
    public IStepPlan Record(string name, Action operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        using Lifetime.Use use = _lifetime.Enter();
        return new DelegatePlan(name, operations);
    }

    /// <summary>
    /// Ends the threads and frees the scratch memory; operations under way end first, later ones are refused. May be called twice. Arenas
    /// and weights live on.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private void Free()
    {
        _team.Dispose();
        _workerScratch.Dispose();
        _sharedScratch.Dispose();
    }

    private static void* Address(in Tensor t, int batch, int row) =>
        (byte*)t.Data + (((batch * t.BatchStride) + (row * t.RowStride)) * t.Type.Size());

    /// <summary>Memory for all workers; inside <see cref="_gate"/>.</summary>
    private byte* WorkerScratch(long bytesPerWorker) => bytesPerWorker == 0 ? null : _workerScratch.Ensure(bytesPerWorker * _team.Threads);

    private static void RequireTransfer(int length, in Tensor t)
    {
        if (t.IsEmpty || length != t.Count)
        {
            throw new ShapeException($"a span of {length} values does not fit {t}");
        }

        OpValidation.RequireAlive("transfer", "the tensor", t);

        if (t.Type is not (DType.F32 or DType.BF16 or DType.F16))
        {
            throw new ShapeException($"{t} is not of a floating-point type that the CPU backend transfers");
        }
    }

    private sealed class DelegatePlan(string name, Action operations) : IStepPlan
    {
        public string Name => name;

        public void Run() => operations();

        public void Dispose()
        {
        }
    }
}
