using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>cudaDataType_t.</summary>
internal enum CudaDataType
{
    F32 = 0,
    BF16 = 14,
}

/// <summary>cublasComputeType_t. F32 means binary32 products and sums for binary32 input, not TF32.</summary>
internal enum CublasComputeType
{
    F32 = 68,
}

/// <summary>cublasOperation_t.</summary>
internal enum CublasOperation
{
    None = 0,
    Transpose = 1,
}

/// <summary>cublasLtMatmulDescAttributes_t.</summary>
internal enum MatmulDescAttribute
{
    TransposeA = 3,
    TransposeB = 4,
    Epilogue = 7,
    BiasPointer = 8,
}

/// <summary>cublasLtEpilogue_t. GELU is the tanh approximation.</summary>
internal enum MatmulEpilogue
{
    Default = 1,
    Bias = 4,
    Gelu = 32,
    GeluBias = 36,
}

/// <summary>cublasLtMatmulPreferenceAttributes_t.</summary>
internal enum MatmulPreferenceAttribute
{
    MaxWorkspaceBytes = 1,
    MinAlignmentA = 5,
    MinAlignmentB = 6,
    MinAlignmentC = 7,
    MinAlignmentD = 8,
}

/// <summary>cublasLtMatmulAlgo_t: opaque, 64 bytes.</summary>
[InlineArray(8)]
internal struct MatmulAlgo
{
    private ulong _data;
}

/// <summary>cublasLtMatmulHeuristicResult_t.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MatmulHeuristicResult
{
    public MatmulAlgo Algo;
    public nuint WorkspaceSize;
    public int State;
    public float WavesCount;
    public Reserved4 Reserved;

    /// <summary>int reserved[4].</summary>
    [InlineArray(4)]
    internal struct Reserved4
    {
        private int _data;
    }
}
