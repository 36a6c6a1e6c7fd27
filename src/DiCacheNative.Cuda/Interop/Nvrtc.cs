using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>NVRTC, the run-time compiler of CUDA C++, one to one. Fields are named as the entry points they hold.</summary>
internal sealed unsafe class Nvrtc
{
    public readonly delegate* unmanaged<int*, int*, int> nvrtcVersion;
    public readonly delegate* unmanaged<int, byte*> nvrtcGetErrorString;
    public readonly delegate* unmanaged<int*, int> nvrtcGetNumSupportedArchs;
    public readonly delegate* unmanaged<int*, int> nvrtcGetSupportedArchs;
    public readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> nvrtcCreateProgram;
    public readonly delegate* unmanaged<nint, int, byte**, int> nvrtcCompileProgram;
    public readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetProgramLogSize;
    public readonly delegate* unmanaged<nint, byte*, int> nvrtcGetProgramLog;
    public readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetCUBINSize;
    public readonly delegate* unmanaged<nint, byte*, int> nvrtcGetCUBIN;
    public readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetPTXSize;
    public readonly delegate* unmanaged<nint, byte*, int> nvrtcGetPTX;
    public readonly delegate* unmanaged<nint*, int> nvrtcDestroyProgram;

    private Nvrtc(NativeExports e)
    {
        nvrtcVersion = (delegate* unmanaged<int*, int*, int>)e.Find("nvrtcVersion");
        nvrtcGetErrorString = (delegate* unmanaged<int, byte*>)e.Find("nvrtcGetErrorString");
        nvrtcGetNumSupportedArchs = (delegate* unmanaged<int*, int>)e.Find("nvrtcGetNumSupportedArchs");
        nvrtcGetSupportedArchs = (delegate* unmanaged<int*, int>)e.Find("nvrtcGetSupportedArchs");
        nvrtcCreateProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)e.Find("nvrtcCreateProgram");
        nvrtcCompileProgram = (delegate* unmanaged<nint, int, byte**, int>)e.Find("nvrtcCompileProgram");
        nvrtcGetProgramLogSize = (delegate* unmanaged<nint, nuint*, int>)e.Find("nvrtcGetProgramLogSize");
        nvrtcGetProgramLog = (delegate* unmanaged<nint, byte*, int>)e.Find("nvrtcGetProgramLog");
        nvrtcGetCUBINSize = (delegate* unmanaged<nint, nuint*, int>)e.Find("nvrtcGetCUBINSize");
        nvrtcGetCUBIN = (delegate* unmanaged<nint, byte*, int>)e.Find("nvrtcGetCUBIN");
        nvrtcGetPTXSize = (delegate* unmanaged<nint, nuint*, int>)e.Find("nvrtcGetPTXSize");
        nvrtcGetPTX = (delegate* unmanaged<nint, byte*, int>)e.Find("nvrtcGetPTX");
        nvrtcDestroyProgram = (delegate* unmanaged<nint*, int>)e.Find("nvrtcDestroyProgram");
    }

    /// <summary>Binds a loaded library; null with a reason when it is too old.</summary>
    public static Nvrtc? Bind(nint library, string path, out string reason)
    {
        NativeExports exports = new(library);
        Nvrtc nvrtc = new(exports);
        return exports.Complete(path, "NVRTC 12 or newer is needed", out reason) ? nvrtc : null;
    }

    /// <summary>Throws when a call failed.</summary>
    /// <param name="result">What the call returned.</param>
    /// <param name="doing">What the engine was doing, to be read after "while".</param>
    /// <param name="call">Text of the call, from the compiler.</param>
    public void Check(int result, string doing, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0)
        {
            string name = Marshal.PtrToStringUTF8((nint)nvrtcGetErrorString(result)) ?? "NVRTC error";
            throw new CudaException(name, result, CudaException.CallText(call), doing);
        }
    }
}
