namespace DiCacheNative.Cuda.Interop;

/// <summary>CUresult of the driver API; only the values the engine tells apart. The driver names the others itself.</summary>
internal enum CuResult
{
    Success = 0,
    OutOfMemory = 2,
    NotInitialized = 3,
    Deinitialized = 4,
    NoDevice = 100,
    NotSupported = 801,
}

/// <summary>Errors after which every call fails, until the process ends.</summary>
internal static class LostContext
{
    // CUDA's manual says of each that the process must be ended and started again: an uncorrectable memory error, a kernel that used a
    // wrong address, ran out of time, asserted, met the stack's end, an illegal instruction, a wrong alignment or address space, or failed
    // otherwise.
    private static readonly int[] s_codes = [214, 700, 702, 710, 714, 715, 716, 717, 718, 719];

    /// <summary>True for such an error.</summary>
    public static bool Is(CuResult result) => Array.IndexOf(s_codes, (int)result) >= 0;
}

/// <summary>CUdevice_attribute: what is asked of a device.</summary>
internal enum CuDeviceAttribute
{
    MultiprocessorCount = 16,
    ComputeCapabilityMajor = 75,
    ComputeCapabilityMinor = 76,
    MaxSharedMemoryPerBlockOptIn = 97,
}

/// <summary>CUfunction_attribute: what is asked of or set on a kernel.</summary>
internal enum CuFunctionAttribute
{
    SharedSizeBytes = 1,
    NumRegs = 4,
    MaxDynamicSharedSizeBytes = 8,
}

/// <summary>CUstreamCaptureMode.</summary>
internal enum CuStreamCaptureMode
{
    Global = 0,
    ThreadLocal = 1,
    Relaxed = 2,
}
