using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>cuBLASLt, the matrix products of CUDA, one to one. Fields are named as the entry points they hold.</summary>
[SuppressMessage("Style", "IDE1006", Justification = "The names are those of cuBLASLt.")]
internal sealed unsafe class CublasLt
{
    public readonly delegate* unmanaged<nint*, int> cublasLtCreate;
    public readonly delegate* unmanaged<nint, int> cublasLtDestroy;
    public readonly delegate* unmanaged<nint*, CublasComputeType, CudaDataType, int> cublasLtMatmulDescCreate;
    public readonly delegate* unmanaged<nint, int> cublasLtMatmulDescDestroy;
    public readonly delegate* unmanaged<nint, MatmulDescAttribute, void*, nuint, int> cublasLtMatmulDescSetAttribute;
    public readonly delegate* unmanaged<nint*, CudaDataType, ulong, ulong, long, int> cublasLtMatrixLayoutCreate;
    public readonly delegate* unmanaged<nint, int> cublasLtMatrixLayoutDestroy;
    public readonly delegate* unmanaged<nint*, int> cublasLtMatmulPreferenceCreate;
    public readonly delegate* unmanaged<nint, int> cublasLtMatmulPreferenceDestroy;
    public readonly delegate* unmanaged<nint, MatmulPreferenceAttribute, void*, nuint, int> cublasLtMatmulPreferenceSetAttribute;
    public readonly delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, MatmulHeuristicResult*, int*, int>
        cublasLtMatmulAlgoGetHeuristic;

    public readonly delegate* unmanaged<nint, nint, void*, void*, nint, void*, nint, void*, void*, nint, void*, nint, MatmulAlgo*, void*, nuint, nint, int>
        cublasLtMatmul;

    private CublasLt(NativeExports e)
    {
        cublasLtCreate = (delegate* unmanaged<nint*, int>)e.Find("cublasLtCreate");
        cublasLtDestroy = (delegate* unmanaged<nint, int>)e.Find("cublasLtDestroy");
        cublasLtMatmulDescCreate = (delegate* unmanaged<nint*, CublasComputeType, CudaDataType, int>)e.Find("cublasLtMatmulDescCreate");
        cublasLtMatmulDescDestroy = (delegate* unmanaged<nint, int>)e.Find("cublasLtMatmulDescDestroy");
        cublasLtMatmulDescSetAttribute =
            (delegate* unmanaged<nint, MatmulDescAttribute, void*, nuint, int>)e.Find("cublasLtMatmulDescSetAttribute");
        cublasLtMatrixLayoutCreate = (delegate* unmanaged<nint*, CudaDataType, ulong, ulong, long, int>)e.Find("cublasLtMatrixLayoutCreate");
        cublasLtMatrixLayoutDestroy = (delegate* unmanaged<nint, int>)e.Find("cublasLtMatrixLayoutDestroy");
        cublasLtMatmulPreferenceCreate = (delegate* unmanaged<nint*, int>)e.Find("cublasLtMatmulPreferenceCreate");
        cublasLtMatmulPreferenceDestroy = (delegate* unmanaged<nint, int>)e.Find("cublasLtMatmulPreferenceDestroy");
        cublasLtMatmulPreferenceSetAttribute =
            (delegate* unmanaged<nint, MatmulPreferenceAttribute, void*, nuint, int>)e.Find("cublasLtMatmulPreferenceSetAttribute");
        cublasLtMatmulAlgoGetHeuristic =
            (delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, MatmulHeuristicResult*, int*, int>)
            e.Find("cublasLtMatmulAlgoGetHeuristic");
        cublasLtMatmul =
            (delegate* unmanaged<nint, nint, void*, void*, nint, void*, nint, void*, void*, nint, void*, nint, MatmulAlgo*, void*, nuint, nint, int>)
            e.Find("cublasLtMatmul");
    }

    /// <summary>Binds a loaded library; null with a reason when it is too old.</summary>
    public static CublasLt? Bind(nint library, string path, out string reason)
    {
        NativeExports exports = new(library);
        CublasLt cublas = new(exports);
        return exports.Complete(path, "cuBLAS 12 or newer is needed", out reason) ? cublas : null;
    }

    /// <summary>Throws when a call failed.</summary>
    /// <param name="status">What the call returned, a cublasStatus_t.</param>
    /// <param name="doing">What the engine was doing, to be read after "while".</param>
    /// <param name="subject">What it was doing it to, added to <paramref name="doing"/>.</param>
    /// <param name="call">Text of the call, from the compiler.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(int status, string doing, string subject = "", [CallerArgumentExpression(nameof(status))] string call = "")
    {
        if (status != 0)
        {
            Throw(status, doing + subject, call);
        }
    }

    /// <summary>The name of a cublasStatus_t.</summary>
    public static string NameOf(int status) => status switch
    {
        1 => "CUBLAS_STATUS_NOT_INITIALIZED",
        3 => "CUBLAS_STATUS_ALLOC_FAILED",
        InvalidValue => "CUBLAS_STATUS_INVALID_VALUE",
        8 => "CUBLAS_STATUS_ARCH_MISMATCH",
        11 => "CUBLAS_STATUS_MAPPING_ERROR",
        13 => "CUBLAS_STATUS_EXECUTION_FAILED",
        14 => "CUBLAS_STATUS_INTERNAL_ERROR",
        NotSupported => "CUBLAS_STATUS_NOT_SUPPORTED",
        _ => "CUBLAS_STATUS",
    };

    /// <summary>CUBLAS_STATUS_INVALID_VALUE.</summary>
    public const int InvalidValue = 7;

    /// <summary>CUBLAS_STATUS_NOT_SUPPORTED: this combination of types, shapes and epilogue has no kernel.</summary>
    public const int NotSupported = 15;

    [DoesNotReturn]
    private static void Throw(int status, string doing, string call) =>
        throw new CudaException(NameOf(status), status, CudaException.CallText(call), doing);
}
