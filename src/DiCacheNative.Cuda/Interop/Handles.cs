using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda.Interop;

/// <summary>
/// The primary context of a device, which every other handle needs to be released. Those hold a reference, so that the context goes last
/// whatever the order of disposal or finalization is.
/// </summary>
internal sealed unsafe class ContextHandle : SafeHandle
{
    private readonly int _device;
    private readonly Action<CudaException>? _onReleaseFailure;
    private bool _toldLost;

    private ContextHandle(Driver driver, int device, Action<CudaException>? onReleaseFailure)
        : base(0, ownsHandle: true)
    {
        (Driver, _device, _onReleaseFailure) = (driver, device, onReleaseFailure);
    }

    public Driver Driver { get; }

    public override bool IsInvalid => handle == 0;

    /// <summary>Retains the primary context of a device.</summary>
    /// <param name="driver">The driver.</param>
    /// <param name="device">Device, as cuDeviceGet gave it.</param>
    /// <param name="onReleaseFailure">Told when something cannot be released; Dispose and finalizers never throw.</param>
    public static ContextHandle Retain(Driver driver, int device, Action<CudaException>? onReleaseFailure)
    {
        ContextHandle context = new(driver, device, onReleaseFailure);
        nint value = 0;
        driver.Check(driver.cuDevicePrimaryCtxRetain(&value, device), "opening the device");
        context.SetHandle(value);
        return context;
    }

    /// <summary>Makes the context current on the calling thread, as every other call needs it.</summary>
    public void MakeCurrent() => Driver.Check(Driver.cuCtxSetCurrent(handle), "making the device current");

    /// <summary>The same before a release, where a failure is reported instead of thrown.</summary>
    public bool MakeCurrentForRelease() => Released(Driver.cuCtxSetCurrent(handle), "cuCtxSetCurrent(context)");

    /// <summary>Reports a release that failed; true when it did not.</summary>
    public bool Released(CuResult result, string call)
    {
        // A driver that is shutting down has released everything itself.
        return result is CuResult.Success or CuResult.Deinitialized || ReleaseFailed(Driver.Error(result, "releasing it", call));
    }

    /// <summary>
    /// Reports a failure to release something; false, for the caller to return. When the device is lost nothing can be released: that is
    /// said once.
    /// </summary>
    public bool ReleaseFailed(CudaException failure)
    {
        if (Driver.Lost is not null && Interlocked.Exchange(ref _toldLost, true))
        {
            return false;
        }

        try
        {
            _onReleaseFailure?.Invoke(failure);
        }
        catch (Exception)
        {
            // This may be a finalizer thread: what the listener throws would end the process.
        }

        return false;
    }

    protected override bool ReleaseHandle() => Released(Driver.cuDevicePrimaryCtxRelease(_device), "cuDevicePrimaryCtxRelease(device)");
}

/// <summary>Something that lives in a context and is released once.</summary>
internal abstract class CudaHandle(ContextHandle context) : SafeHandle(0, ownsHandle: true)
{
    public override bool IsInvalid => handle == 0;

    /// <summary>The native handle, or the address.</summary>
    public nint Value => handle;

    protected Driver Driver => context.Driver;

    /// <summary>Takes over what a driver call made. The context stays until it is released.</summary>
    protected void Own(nint value)
    {
        bool referenced = false;
        context.DangerousAddRef(ref referenced);
        SetHandle(value);
    }

    /// <summary>Calls the driver; true when it went well.</summary>
    protected abstract bool Release();

    /// <summary>Reports a release that failed.</summary>
    protected bool Released(CuResult result, [CallerArgumentExpression(nameof(result))] string call = "") => context.Released(result, call);

    /// <summary>Reports a release that a library on top of the driver failed at.</summary>
    protected bool ReleasedBy(int status, Func<int, string> nameOf, [CallerArgumentExpression(nameof(status))] string call = "") =>
        status == 0 || context.ReleaseFailed(new CudaException(nameOf(status), status, CudaException.CallText(call), "releasing it"));

    protected sealed override bool ReleaseHandle()
    {
        // A finalizer thread has no context. Should setting it fail, the release is tried nevertheless.
        bool current = context.MakeCurrentForRelease();
        bool released = Release();
        context.DangerousRelease();
        return current && released;
    }
}

/// <summary>Device memory.</summary>
internal sealed unsafe class DeviceMemory : CudaHandle
{
    private DeviceMemory(ContextHandle context, long bytes)
        : base(context)
    {
        Bytes = bytes;
    }

    public long Bytes { get; }

    /// <summary>Allocates device memory.</summary>
    /// <param name="context">Where.</param>
    /// <param name="bytes">How much.</param>
    /// <param name="purpose">What needs it, as the subject of a sentence.</param>
    /// <exception cref="BackendException">It does not fit: says needed, free and what to lower.</exception>
    public static DeviceMemory Allocate(ContextHandle context, long bytes, string purpose)
    {
        DeviceMemory memory = new(context, bytes);
        Driver driver = context.Driver;
        nint address = 0;
        CuResult result = driver.cuMemAlloc(&address, (nuint)bytes);
        if (result == CuResult.OutOfMemory)
        {
            nuint free = 0, total = 0;
            driver.Check(driver.cuMemGetInfo(&free, &total), "asking for free memory after an allocation failed");
            throw new BackendException(
                $"{purpose} needs {Size.Text(bytes)} of device memory, but only {Size.Text((long)free)} of {Size.Text((long)total)} is free: lower the "
                    + $"resolution, the number of frames or the batch, or close what else uses the device",
                driver.Error(result, $"allocating {bytes:N0} bytes", "cuMemAlloc(&address, bytes)"));
        }

        driver.Check(result, "allocating memory for ", purpose, "cuMemAlloc(&address, bytes)");
        memory.Own(address);
        return memory;
    }

    protected override bool Release() => Released(Driver.cuMemFree(handle));
}

/// <summary>Page-locked host memory, which the device copies from and to in the background.</summary>
internal sealed unsafe class PinnedMemory : CudaHandle
{
    private PinnedMemory(ContextHandle context)
        : base(context)
    {
    }

    public static PinnedMemory Allocate(ContextHandle context, long bytes)
    {
        PinnedMemory memory = new(context);
        nint address = 0;
        context.Driver.Check(context.Driver.cuMemHostAlloc(&address, (nuint)bytes, 0), "allocating page-locked memory for transfers");
        memory.Own(address);
        return memory;
    }

    protected override bool Release() => Released(Driver.cuMemFreeHost(handle));
}

/// <summary>A stream that does not wait for the default stream.</summary>
internal sealed unsafe class StreamHandle : CudaHandle
{
    private const uint NonBlocking = 1;

    private StreamHandle(ContextHandle context)
        : base(context)
    {
    }

    public static StreamHandle Create(ContextHandle context)
    {
        StreamHandle stream = new(context);
        nint value = 0;
        context.Driver.Check(context.Driver.cuStreamCreate(&value, NonBlocking), "creating a stream");
        stream.Own(value);
        return stream;
    }

    protected override bool Release() => Released(Driver.cuStreamDestroy(handle));
}

/// <summary>An event.</summary>
internal sealed unsafe class EventHandle : CudaHandle
{
    private const uint DisableTiming = 2;

    private EventHandle(ContextHandle context)
        : base(context)
    {
    }

    public static EventHandle Create(ContextHandle context, bool timing)
    {
        EventHandle e = new(context);
        nint value = 0;
        context.Driver.Check(context.Driver.cuEventCreate(&value, timing ? 0 : DisableTiming), "creating an event");
        e.Own(value);
        return e;
    }

    protected override bool Release() => Released(Driver.cuEventDestroy(handle));
}

/// <summary>A loaded cubin or PTX.</summary>
internal sealed unsafe class KernelModule : CudaHandle
{
    private KernelModule(ContextHandle context)
        : base(context)
    {
    }

    public static KernelModule Load(ContextHandle context, byte[] image, string file)
    {
        KernelModule module = new(context);
        nint value = 0;

        // PTX is read up to a zero byte.
        byte[] terminated = [.. image, 0];
        fixed (byte* p = terminated)
        {
            context.Driver.Check(context.Driver.cuModuleLoadData(&value, p), "loading the kernels of ", file);
        }

        module.Own(value);
        return module;
    }

    protected override bool Release() => Released(Driver.cuModuleUnload(handle));
}

/// <summary>A captured graph; only needed until it is instantiated.</summary>
internal sealed class GraphHandle : CudaHandle
{
    public GraphHandle(ContextHandle context, nint graph)
        : base(context)
    {
        Own(graph);
    }

    protected override unsafe bool Release() => Released(Driver.cuGraphDestroy(handle));
}

/// <summary>A graph that can be launched.</summary>
internal sealed unsafe class GraphExecHandle : CudaHandle
{
    private GraphExecHandle(ContextHandle context)
        : base(context)
    {
    }

    public static GraphExecHandle Instantiate(ContextHandle context, GraphHandle graph, string plan)
    {
        GraphExecHandle exec = new(context);
        nint value = 0;
        context.Driver.Check(
            context.Driver.cuGraphInstantiateWithFlags(&value, graph.Value, 0), "instantiating the graph of ", plan);
        exec.Own(value);
        return exec;
    }

    protected override bool Release() => Released(Driver.cuGraphExecDestroy(handle));
}
