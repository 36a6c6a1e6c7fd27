using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>A cuBLASLt library handle; it holds the context alive that it was created in.</summary>
internal sealed unsafe class CublasLtHandle : CudaHandle
{
    private readonly CublasLt _cublas;

    private CublasLtHandle(ContextHandle context, CublasLt cublas)
        : base(context)
    {
        _cublas = cublas;
    }

    public static CublasLtHandle Create(ContextHandle context, CublasLt cublas)
    {
        CublasLtHandle handle = new(context, cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtCreate(&value), "starting cuBLASLt");
        handle.Own(value);
        return handle;
    }

    protected override bool Release() => ReleasedBy(_cublas.cublasLtDestroy(handle), CublasLt.NameOf);
}

/// <summary>A descriptor of cuBLASLt: host memory only.</summary>
internal abstract class CublasObject : SafeHandle
{
    protected CublasObject(CublasLt cublas)
        : base(0, ownsHandle: true)
    {
        Cublas = cublas;
    }

    public override bool IsInvalid => handle == 0;

    public nint Value => handle;

    protected CublasLt Cublas { get; }
}

/// <summary>cublasLtMatmulDesc_t.</summary>
internal sealed unsafe class MatmulDescriptor : CublasObject
{
    private MatmulDescriptor(CublasLt cublas)
        : base(cublas)
    {
    }

    public static MatmulDescriptor Create(CublasLt cublas)
    {
        MatmulDescriptor descriptor = new(cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatmulDescCreate(&value, CublasComputeType.F32, CudaDataType.F32), "describing a matrix product");
        descriptor.SetHandle(value);
        return descriptor;
    }

    public void Set<T>(MatmulDescAttribute attribute, T value)
        where T : unmanaged =>
        CublasLt.Check(Cublas.cublasLtMatmulDescSetAttribute(handle, attribute, &value, (nuint)sizeof(T)), "describing a matrix product");

    protected override bool ReleaseHandle() => Cublas.cublasLtMatmulDescDestroy(handle) == 0;
}

/// <summary>cublasLtMatrixLayout_t, column-major.</summary>
internal sealed unsafe class MatrixLayout : CublasObject
{
    private MatrixLayout(CublasLt cublas)
        : base(cublas)
    {
    }

    public static MatrixLayout Create(CublasLt cublas, CudaDataType type, long rows, long columns, long stride)
    {
        MatrixLayout layout = new(cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatrixLayoutCreate(&value, type, (ulong)rows, (ulong)columns, stride), "describing a matrix");
        layout.SetHandle(value);
        return layout;
    }

    protected override bool ReleaseHandle() => Cublas.cublasLtMatrixLayoutDestroy(handle) == 0;
}

/// <summary>cublasLtMatmulPreference_t.</summary>
internal sealed unsafe class MatmulPreference : CublasObject
{
    private MatmulPreference(CublasLt cublas)
        : base(cublas)
    {
    }

    public static MatmulPreference Create(CublasLt cublas)
    {
        MatmulPreference preference = new(cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatmulPreferenceCreate(&value), "choosing a matrix product");
        preference.SetHandle(value);
        return preference;
    }

    public void Set<T>(MatmulPreferenceAttribute attribute, T value)
        where T : unmanaged =>
        CublasLt.Check(Cublas.cublasLtMatmulPreferenceSetAttribute(handle, attribute, &value, (nuint)sizeof(T)), "choosing a matrix product");

    protected override bool ReleaseHandle() => Cublas.cublasLtMatmulPreferenceDestroy(handle) == 0;
}
