using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>The CUDA driver API, one to one. Fields are named as the entry points they hold, without the version suffix of the export.</summary>
[SuppressMessage("Style", "IDE1006", Justification = "The names are those of the driver API.")]
internal sealed unsafe class Driver
{
    public readonly delegate* unmanaged<uint, CuResult> cuInit;
    public readonly delegate* unmanaged<int*, CuResult> cuDriverGetVersion;
    public readonly delegate* unmanaged<CuResult, byte**, CuResult> cuGetErrorName;

    public readonly delegate* unmanaged<int*, CuResult> cuDeviceGetCount;
    public readonly delegate* unmanaged<int*, int, CuResult> cuDeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, CuResult> cuDeviceGetName;
    public readonly delegate* unmanaged<int*, CuDeviceAttribute, int, CuResult> cuDeviceGetAttribute;
    public readonly delegate* unmanaged<nuint*, int, CuResult> cuDeviceTotalMem;
    public readonly delegate* unmanaged<nint*, int, CuResult> cuDevicePrimaryCtxRetain;
    public readonly delegate* unmanaged<int, CuResult> cuDevicePrimaryCtxRelease;
    public readonly delegate* unmanaged<nint, CuResult> cuCtxSetCurrent;

    public readonly delegate* unmanaged<nuint*, nuint*, CuResult> cuMemGetInfo;
    public readonly delegate* unmanaged<nint*, nuint, CuResult> cuMemAlloc;
    public readonly delegate* unmanaged<nint, CuResult> cuMemFree;
    public readonly delegate* unmanaged<nint*, nuint, uint, CuResult> cuMemHostAlloc;
    public readonly delegate* unmanaged<nint, CuResult> cuMemFreeHost;
    public readonly delegate* unmanaged<nint, nint, nuint, nint, CuResult> cuMemcpyHtoDAsync;
    public readonly delegate* unmanaged<nint, nint, nuint, nint, CuResult> cuMemcpyDtoHAsync;

    public readonly delegate* unmanaged<nint*, uint, CuResult> cuStreamCreate;
    public readonly delegate* unmanaged<nint, CuResult> cuStreamDestroy;
    public readonly delegate* unmanaged<nint, CuResult> cuStreamSynchronize;
    public readonly delegate* unmanaged<nint, CuStreamCaptureMode, CuResult> cuStreamBeginCapture;
    public readonly delegate* unmanaged<nint, nint*, CuResult> cuStreamEndCapture;
    public readonly delegate* unmanaged<nint*, uint, CuResult> cuEventCreate;
    public readonly delegate* unmanaged<nint, CuResult> cuEventDestroy;
    public readonly delegate* unmanaged<nint, nint, CuResult> cuEventRecord;
    public readonly delegate* unmanaged<nint, CuResult> cuEventSynchronize;
    public readonly delegate* unmanaged<float*, nint, nint, CuResult> cuEventElapsedTime;

    public readonly delegate* unmanaged<nint*, void*, CuResult> cuModuleLoadData;
    public readonly delegate* unmanaged<nint, CuResult> cuModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, CuResult> cuModuleGetFunction;
    public readonly delegate* unmanaged<nint, CuFunctionAttribute, int, CuResult> cuFuncSetAttribute;
    public readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, CuResult> cuLaunchKernel;

    public readonly delegate* unmanaged<nint*, nint, ulong, CuResult> cuGraphInstantiateWithFlags;
    public readonly delegate* unmanaged<nint, nint, CuResult> cuGraphLaunch;
    public readonly delegate* unmanaged<nint, CuResult> cuGraphExecDestroy;
    public readonly delegate* unmanaged<nint, CuResult> cuGraphDestroy;

    private Driver(NativeExports e)
    {
        cuInit = (delegate* unmanaged<uint, CuResult>)e.Find("cuInit");
        cuDriverGetVersion = (delegate* unmanaged<int*, CuResult>)e.Find("cuDriverGetVersion");
        cuGetErrorName = (delegate* unmanaged<CuResult, byte**, CuResult>)e.Find("cuGetErrorName");

        cuDeviceGetCount = (delegate* unmanaged<int*, CuResult>)e.Find("cuDeviceGetCount");
        cuDeviceGet = (delegate* unmanaged<int*, int, CuResult>)e.Find("cuDeviceGet");
        cuDeviceGetName = (delegate* unmanaged<byte*, int, int, CuResult>)e.Find("cuDeviceGetName");
        cuDeviceGetAttribute = (delegate* unmanaged<int*, CuDeviceAttribute, int, CuResult>)e.Find("cuDeviceGetAttribute");
        cuDeviceTotalMem = (delegate* unmanaged<nuint*, int, CuResult>)e.Find("cuDeviceTotalMem_v2");
        cuDevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, CuResult>)e.Find("cuDevicePrimaryCtxRetain");
        cuDevicePrimaryCtxRelease = (delegate* unmanaged<int, CuResult>)e.Find("cuDevicePrimaryCtxRelease_v2");
        cuCtxSetCurrent = (delegate* unmanaged<nint, CuResult>)e.Find("cuCtxSetCurrent");

        cuMemGetInfo = (delegate* unmanaged<nuint*, nuint*, CuResult>)e.Find("cuMemGetInfo_v2");
        cuMemAlloc = (delegate* unmanaged<nint*, nuint, CuResult>)e.Find("cuMemAlloc_v2");
        cuMemFree = (delegate* unmanaged<nint, CuResult>)e.Find("cuMemFree_v2");
        cuMemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, CuResult>)e.Find("cuMemHostAlloc");
        cuMemFreeHost = (delegate* unmanaged<nint, CuResult>)e.Find("cuMemFreeHost");
        cuMemcpyHtoDAsync = (delegate* unmanaged<nint, nint, nuint, nint, CuResult>)e.Find("cuMemcpyHtoDAsync_v2");
        cuMemcpyDtoHAsync = (delegate* unmanaged<nint, nint, nuint, nint, CuResult>)e.Find("cuMemcpyDtoHAsync_v2");

        cuStreamCreate = (delegate* unmanaged<nint*, uint, CuResult>)e.Find("cuStreamCreate");
        cuStreamDestroy = (delegate* unmanaged<nint, CuResult>)e.Find("cuStreamDestroy_v2");
        cuStreamSynchronize = (delegate* unmanaged<nint, CuResult>)e.Find("cuStreamSynchronize");
        cuStreamBeginCapture = (delegate* unmanaged<nint, CuStreamCaptureMode, CuResult>)e.Find("cuStreamBeginCapture_v2");
        cuStreamEndCapture = (delegate* unmanaged<nint, nint*, CuResult>)e.Find("cuStreamEndCapture");
        cuEventCreate = (delegate* unmanaged<nint*, uint, CuResult>)e.Find("cuEventCreate");
        cuEventDestroy = (delegate* unmanaged<nint, CuResult>)e.Find("cuEventDestroy_v2");
        cuEventRecord = (delegate* unmanaged<nint, nint, CuResult>)e.Find("cuEventRecord");
        cuEventSynchronize = (delegate* unmanaged<nint, CuResult>)e.Find("cuEventSynchronize");
        cuEventElapsedTime = (delegate* unmanaged<float*, nint, nint, CuResult>)e.Find("cuEventElapsedTime");

        cuModuleLoadData = (delegate* unmanaged<nint*, void*, CuResult>)e.Find("cuModuleLoadData");
        cuModuleUnload = (delegate* unmanaged<nint, CuResult>)e.Find("cuModuleUnload");
        cuModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, CuResult>)e.Find("cuModuleGetFunction");
        cuFuncSetAttribute = (delegate* unmanaged<nint, CuFunctionAttribute, int, CuResult>)e.Find("cuFuncSetAttribute");
        cuLaunchKernel =
            (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, CuResult>)e.Find("cuLaunchKernel");

        cuGraphInstantiateWithFlags = (delegate* unmanaged<nint*, nint, ulong, CuResult>)e.Find("cuGraphInstantiateWithFlags");
        cuGraphLaunch = (delegate* unmanaged<nint, nint, CuResult>)e.Find("cuGraphLaunch");
        cuGraphExecDestroy = (delegate* unmanaged<nint, CuResult>)e.Find("cuGraphExecDestroy");
        cuGraphDestroy = (delegate* unmanaged<nint, CuResult>)e.Find("cuGraphDestroy");
    }

    /// <summary>Binds a loaded library; null with a reason when it is too old.</summary>
    public static Driver? Bind(nint library, string path, out string reason)
    {
        NativeExports exports = new(library);
        Driver driver = new(exports);
        return exports.Complete(path, "update the NVIDIA driver (525 or newer)", out reason) ? driver : null;
    }

    /// <summary>Throws when a call failed.</summary>
    /// <param name="result">What the call returned.</param>
    /// <param name="doing">What the engine was doing, to be read after "while".</param>
    /// <param name="subject">What it was doing it to, added to <paramref name="doing"/>.</param>
    /// <param name="call">Text of the call, from the compiler.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Check(CuResult result, string doing, string subject = "", [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != CuResult.Success)
        {
            Throw(result, doing + subject, call);
        }
    }

    /// <summary>The failure that lost the device to this process; null while there was none.</summary>
    public CudaException? Lost { get; private set; }

    /// <summary>The error as an exception, without throwing it.</summary>
    public CudaException Error(CuResult result, string doing, string call)
    {
        string name = NameOf(result), text = CudaException.CallText(call);
        if (!LostContext.Is(result))
        {
            return new CudaException(name, (int)result, text, doing);
        }

        // Whoever comes later is told of the first failure, not of its own call.
        return Lost?.Again() ?? (Lost = CudaException.Lost(name, (int)result, text, doing));
    }

    /// <summary>Refuses further work once the device is lost.</summary>
    public void ThrowIfLost()
    {
        if (Lost is { } lost)
        {
            throw lost.Again();
        }
    }

    [DoesNotReturn]
    private void Throw(CuResult result, string doing, string call) => throw Error(result, doing, call);

    private string NameOf(CuResult result)
    {
        byte* name = null;
        return cuGetErrorName(result, &name) == CuResult.Success && name != null ? Marshal.PtrToStringUTF8((nint)name)! : "CUDA_ERROR";
    }
}
