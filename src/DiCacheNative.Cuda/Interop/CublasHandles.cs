namespace DiCacheNative.Cuda.Interop;

/// <summary>Something of cuBLASLt's that is released once; it holds the context alive that it was made in.</summary>
internal abstract class CublasHandle(ContextHandle context, CublasLt cublas) : CudaHandle(context)
{
    protected CublasLt Cublas { get; } = cublas;
}

/// <summary>The library's own handle.</summary>
internal sealed unsafe class CublasLtHandle : CublasHandle
{
    private CublasLtHandle(ContextHandle context, CublasLt cublas)
        : base(context, cublas)
    {
    }

    public static CublasLtHandle Create(ContextHandle context, CublasLt cublas)
    {
        CublasLtHandle handle = new(context, cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtCreate(&value), "starting cuBLASLt");
        handle.Own(value);
        return handle;
    }

    protected override bool Release() => ReleasedBy(Cublas.cublasLtDestroy(handle), CublasLt.NameOf);
}

/// <summary>cublasLtMatmulDesc_t.</summary>
internal sealed unsafe class MatmulDescriptor : CublasHandle
{
    private MatmulDescriptor(ContextHandle context, CublasLt cublas)
        : base(context, cublas)
    {
    }

    public static MatmulDescriptor Create(ContextHandle context, CublasLt cublas)
    {
        MatmulDescriptor descriptor = new(context, cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatmulDescCreate(&value, CublasComputeType.F32, CudaDataType.F32), "describing a matrix product");
        descriptor.Own(value);
        return descriptor;
    }

    public void Set<T>(MatmulDescAttribute attribute, T value)
        where T : unmanaged =>
        CublasLt.Check(Cublas.cublasLtMatmulDescSetAttribute(handle, attribute, &value, (nuint)sizeof(T)), "describing a matrix product");

    protected override bool Release() => ReleasedBy(Cublas.cublasLtMatmulDescDestroy(handle), CublasLt.NameOf);
}

/// <summary>cublasLtMatrixLayout_t, column-major.</summary>
internal sealed unsafe class MatrixLayout : CublasHandle
{
    private MatrixLayout(ContextHandle context, CublasLt cublas)
        : base(context, cublas)
    {
    }

    public static MatrixLayout Create(ContextHandle context, CublasLt cublas, CudaDataType type, long rows, long columns, long stride)
    {
        MatrixLayout layout = new(context, cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatrixLayoutCreate(&value, type, (ulong)rows, (ulong)columns, stride), "describing a matrix");
        layout.Own(value);
        return layout;
    }

    protected override bool Release() => ReleasedBy(Cublas.cublasLtMatrixLayoutDestroy(handle), CublasLt.NameOf);
}

/// <summary>cublasLtMatmulPreference_t.</summary>
internal sealed unsafe class MatmulPreference : CublasHandle
{
    private MatmulPreference(ContextHandle context, CublasLt cublas)
        : base(context, cublas)
    {
    }

    public static MatmulPreference Create(ContextHandle context, CublasLt cublas)
    {
        MatmulPreference preference = new(context, cublas);
        nint value = 0;
        CublasLt.Check(cublas.cublasLtMatmulPreferenceCreate(&value), "choosing a matrix product");
        preference.Own(value);
        return preference;
    }

    public void Set<T>(MatmulPreferenceAttribute attribute, T value)
        where T : unmanaged =>
        CublasLt.Check(Cublas.cublasLtMatmulPreferenceSetAttribute(handle, attribute, &value, (nuint)sizeof(T)), "choosing a matrix product");

    protected override bool Release() => ReleasedBy(Cublas.cublasLtMatmulPreferenceDestroy(handle), CublasLt.NameOf);
}
