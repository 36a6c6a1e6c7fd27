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
