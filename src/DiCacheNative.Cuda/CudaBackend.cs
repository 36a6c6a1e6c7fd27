using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <summary>
/// The operations on an NVIDIA GPU: kernels of our own, compiled at run time, and cuBLASLt for matrix products. Operations are asynchronous;
/// each host thread has a stream of its own. A recorded plan becomes a CUDA graph at its second run.
/// </summary>
/// <remarks>
/// Environment: DICACHE_SYNC=1 waits after each kernel and names the one that failed, inside plans too, which then stay sequences of single
/// operations; DICACHE_KERNEL_CACHE names the folder of compiled kernels; DICACHE_CUDA_LIBRARIES names folders to look for NVRTC and
/// cuBLASLt in. Rows of at most 8192 elements are supported by the operations that normalise or sum rows.
/// </remarks>
public sealed unsafe partial class CudaBackend : IBackend, IHasLifetime
{
    private readonly CudaLibraries _libraries;
    private readonly Driver _driver;
    private readonly ContextHandle _context;
    private readonly KernelTable _kernels;
    private readonly GemmPlanCache _gemms;
    private readonly WeightUploader _uploader;
    private readonly StreamPool _streams;
    private readonly AttentionKernels _attention;
    private long _launches;
    private readonly Lifetime _lifetime;

    private CudaBackend(CudaLibraries libraries, CudaDevice device, CudaBackendOptions options)
    {
        (_libraries, _driver, Device) = (libraries, libraries.Driver!, device);
        NamesFailingKernels = Switch("DICACHE_SYNC");
        ActivationType = options.Precision == CudaPrecision.F32 ? DType.F32 : DType.BF16;
        KernelCompiler compiler = new(libraries.Nvrtc!);
        KernelCache cache = new(compiler, options.KernelCacheFolder ?? KernelCache.DefaultFolder(), libraries.Name);
        List<IDisposable> made = [];
        T Made<T>(T value)
            where T : IDisposable
        {
            made.Add(value);
            return value;
        }

        try
        {
            int index = 0;
            _driver.Check(_driver.cuDeviceGet(&index, device.Index), "opening the device");
            _context = Made(ContextHandle.Retain(_driver, index, options.OnReleaseFailure));
            _context.MakeCurrent();
            _kernels = Made(new KernelTable(_context, cache, compiler.Target(device.ComputeCapability)));
            KernelsCompiled = cache.Compiled;
            _gemms = Made(new GemmPlanCache(_context, libraries.CublasLt!, device.ComputeCapability));
            _uploader = Made(new WeightUploader(_context, ActivationType));
            _streams = Made(new StreamPool(_context));
            _families = new Families(_kernels);
            _attention = new AttentionKernels(_driver, _kernels);
        }
        catch
        {
            for (int i = made.Count - 1; i >= 0; i--)
            {
                made[i].Dispose();
            }

            throw;
        }

        if (cache.Refusal.Length > 0)
        {
            options.Log?.Invoke(cache.Refusal);
        }

        _lifetime = new Lifetime(nameof(CudaBackend), Free);
        string precision = ActivationType == DType.F32 ? "f32" : "bf16";
        Description = $"{device}, {precision}, CUDA {libraries.DriverVersion}, NVRTC {compiler.Version}, {libraries.Origin}";
    }

    /// <inheritdoc/>
    public string Name => _libraries.Name;

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public long Launches => Volatile.Read(ref _launches);

    /// <inheritdoc/>
    public DType ActivationType { get; }

    /// <summary>The device.</summary>
    public CudaDevice Device { get; }

    /// <summary>Number of kernel files that had to be compiled at the start because the kernel cache did not hold them.</summary>
    public int KernelsCompiled { get; }

    /// <inheritdoc/>
    Lifetime IHasLifetime.Lifetime => _lifetime;

    /// <summary>Where those who use the backend enter.</summary>
    internal Lifetime Lifetime => _lifetime;

    /// <summary>Opens a device.</summary>
    /// <param name="options">Choices; null for the defaults.</param>
    /// <param name="backend">The backend; null when it cannot be had.</param>
    /// <param name="reason">Why not, in a sentence for the user; empty on success.</param>
    /// <returns>True on success. A machine without CUDA is no exception.</returns>
    public static bool TryCreate(CudaBackendOptions? options, out CudaBackend? backend, out string reason)
    {
        options ??= new CudaBackendOptions();
        backend = null;
        CudaLibraries libraries = options.Libraries ?? CudaLibraries.Find();
        if (!libraries.Complete)
        {
            reason = string.Join("; ", libraries.Missing);
            return false;
        }

        IReadOnlyList<CudaDevice> devices = CudaDevice.List(libraries, out reason);
        if (devices.Count == 0)
        {
            return false;
        }

        if (options.DeviceIndex < 0 || options.DeviceIndex >= devices.Count)
        {
            reason = $"there is no device {options.DeviceIndex}: the driver knows {devices.Count}, counted from 0";
            return false;
        }

        CudaDevice device = devices[options.DeviceIndex];
        reason = device.Refusal;
        if (reason.Length > 0)
        {
            return false;
        }

        try
        {
            backend = new CudaBackend(libraries, device, options);
            return true;
        }
        catch (BackendException e)
        {
            reason = e.Message;
            return false;
        }
    }

    /// <inheritdoc/>
    public IStepPlan Record(string name, Action operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        EnterPlan(name);
        return new CudaGraph(this, _context, name, operations);
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
        using Lifetime.Use use = _lifetime.Enter();
        CudaStream stream = EnterAtOnce("synchronize");
        _driver.Check(_driver.cuStreamSynchronize(stream.Handle), "waiting for the operations issued so far");
    }

    /// <summary>Runs operations on the calling thread's stream and measures them on the device.</summary>
    /// <param name="operations">Operations, plans included.</param>
    /// <returns>Milliseconds between their start and their end.</returns>
    public float Measure(Action operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
        using Lifetime.Use use = _lifetime.Enter();
        CudaStream stream = EnterAtOnce("measure");
        using EventHandle start = EventHandle.Create(_context, timing: true), end = EventHandle.Create(_context, timing: true);
        _driver.Check(_driver.cuEventRecord(start.Value, stream.Handle), "measuring");
        operations();
        _driver.Check(_driver.cuEventRecord(end.Value, stream.Handle), "measuring");
        _driver.Check(_driver.cuEventSynchronize(end.Value), "measuring");
        float milliseconds = 0;
        _driver.Check(_driver.cuEventElapsedTime(&milliseconds, start.Value, end.Value), "measuring");
        return milliseconds;
    }

    /// <summary>
    /// Releases streams, kernels and the device; operations under way on other threads end first, later ones are refused. Arenas, weights and
    /// plans are released by their own Dispose, before or after. May be called twice.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private void Free()
    {
        _streams.Dispose();
        _uploader.Dispose();
        _gemms.Dispose();
        _kernels.Dispose();
        _context.Dispose();
    }

    /// <summary>True when every kernel is waited for, so that one that fails is named: plans then run operation by operation.</summary>
    internal bool NamesFailingKernels { get; }

    /// <summary>The calling thread's stream, for a plan.</summary>
    internal CudaStream EnterPlan(string name) => EnterAtOnce($"the plan {name}");

    /// <summary>Launches a recorded plan.</summary>
    internal void Launch(CudaStream stream, GraphExecHandle plan, string name) =>
        _driver.Check(_driver.cuGraphLaunch(plan.Value, stream.Handle), "launching the plan ", name);

    /// <summary>An environment variable that is a switch: unset, 0 or false; 1 or true.</summary>
    /// <exception cref="BackendException">It says something else.</exception>
    private static bool Switch(string name) => Environment.GetEnvironmentVariable(name)?.ToLowerInvariant() switch
    {
        null or "" or "0" or "false" => false,
        "1" or "true" => true,
        string other => throw new BackendException($"the environment variable {name} is '{other}': it takes 1 or true, 0 or false"),
    };

    /// <summary>The calling thread's stream, with the device made current.</summary>
    private CudaStream Enter()
    {
        if (_lifetime.HasEnded)
        {
            throw new ObjectDisposedException(nameof(CudaBackend), "this CudaBackend was disposed and cannot be used any more");
        }

        _driver.ThrowIfLost();
        _context.MakeCurrent();
        return _streams.Current;
    }

    /// <summary>The same for what cannot be part of a plan.</summary>
    private CudaStream EnterAtOnce(string what)
    {
        CudaStream stream = Enter();
        return stream.Recording is null
            ? stream
            : throw new InvalidOperationException($"{what} cannot be part of a recorded plan: only operations can");
    }
}
