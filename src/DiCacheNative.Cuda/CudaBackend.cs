using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <summary>
/// The operations on an NVIDIA GPU: kernels of our own, compiled at run time, and cuBLASLt for matrix products. Operations are asynchronous;
/// each host thread has a stream of its own. A recorded plan is a CUDA graph.
/// </summary>
/// <remarks>
/// Environment: DICACHE_SYNC=1 waits after each kernel and names the one that failed; DICACHE_KERNEL_CACHE names the folder of compiled
/// kernels; DICACHE_CUDA_LIBRARIES names folders to look for NVRTC and cuBLASLt in.
/// Rows of at most 8192 elements are supported by the operations that normalise or sum rows.
/// </remarks>
public sealed unsafe partial class CudaBackend : IBackend
{
    private readonly CudaLibraries _libraries;
    private readonly Driver _driver;
    private readonly ContextHandle _context;
    private readonly KernelTable _kernels;
    private readonly GemmPlanCache _gemms;
    private readonly WeightUploader _uploader;
    private readonly StreamPool _streams;
    private readonly AttentionKernels _attention;
    private readonly bool _waitForEach = Environment.GetEnvironmentVariable("DICACHE_SYNC") == "1";
    private long _launches;
    private bool _disposed;

    private CudaBackend(CudaLibraries libraries, CudaDevice device, CudaBackendOptions options)
    {
        (_libraries, _driver, Device) = (libraries, libraries.Driver!, device);
        ActivationType = options.Precision == CudaPrecision.F32 ? DType.F32 : DType.BF16;
        KernelCompiler compiler = new(libraries.Nvrtc!);
        KernelCache cache = new(compiler, options.KernelCacheFolder ?? KernelCache.DefaultFolder(), libraries.Name);
        byte[][] images = cache.Images(compiler.Target(device.ComputeCapability));
        KernelsCompiled = cache.Compiled;

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
            _kernels = Made(new KernelTable(_context, images));
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

        Description = $"{device}, {(ActivationType == DType.F32 ? "f32" : "bf16")}, NVRTC {compiler.Version}, {libraries.Origin}";
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
        CudaStream stream = Enter();
        return stream.Recording is null
            ? CudaGraph.Record(this, _context, stream, name, operations)
            : throw new InvalidOperationException($"the plan {name} cannot be recorded while another one is");
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
        CudaStream stream = EnterAtOnce("synchronize");
        _driver.Check(_driver.cuStreamSynchronize(stream.Handle), "waiting for the operations issued so far");
    }

    /// <summary>Runs operations on the calling thread's stream and measures them on the device.</summary>
    /// <param name="operations">Operations, plans included.</param>
    /// <returns>Milliseconds between their start and their end.</returns>
    public float Measure(Action operations)
    {
        ArgumentNullException.ThrowIfNull(operations);
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
    /// Releases streams, kernels and the device. Arenas, weights and plans are released by their own Dispose, before or after. May be called twice.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true))
        {
            return;
        }

        _streams.Dispose();
        _uploader.Dispose();
        _gemms.Dispose();
        _kernels.Dispose();
        _context.Dispose();
    }

    /// <summary>Launches a recorded plan on the calling thread's stream.</summary>
    internal void Launch(GraphExecHandle plan, string name)
    {
        CudaStream stream = EnterAtOnce(name);
        _driver.Check(_driver.cuGraphLaunch(plan.Value, stream.Handle), "launching the plan ", name);
        if (_waitForEach)
        {
            _driver.Check(_driver.cuStreamSynchronize(stream.Handle), "running the plan ", name);
        }
    }

    /// <summary>The calling thread's stream, with the device made current.</summary>
    private CudaStream Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
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
