using System.Collections.Concurrent;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Matrix products y = x W^T by cuBLASLt. What it takes to run one shape (descriptors, and the algorithm that the library's heuristics prefer)
/// is found once and kept. cuBLASLt thinks in columns: a row-major y [M, N] is its column-major N x M, so it is asked for W^T (transposed A) times x.
/// </summary>
/// <remarks>
/// Neither the heuristics nor the first run of an algorithm, which loads its kernel, may happen while any stream of the process captures:
/// both hold <see cref="Gate"/>, as a capture does. A plan issues its operations once before it captures them, so a capture finds all it
/// needs here.
/// </remarks>
internal sealed unsafe class GemmPlanCache : IDisposable
{
    /// <summary>Held while a stream captures, and while cuBLASLt is asked for something new. Of the process, as the device is.</summary>
    public static readonly Lock Gate = new();

    private readonly ConcurrentDictionary<GemmShape, GemmPlan?> _plans = new();
    private readonly ContextHandle _context;
    private readonly CublasLt _cublas;
    private readonly CublasLtHandle _handle;
    private readonly long _workspaceBytes;
    private const string MatmulCall = "cublasLtMatmul";

    /// <summary>Opens cuBLASLt.</summary>
    /// <param name="context">The device.</param>
    /// <param name="cublas">The library.</param>
    /// <param name="computeCapability">90 for 9.0.</param>
    public GemmPlanCache(ContextHandle context, CublasLt cublas, int computeCapability)
    {
        // What NVIDIA advises: split-K on Hopper wants 32 MB, before it 4 MB were enough.
        _workspaceBytes = computeCapability >= 90 ? 32 << 20 : 4 << 20;
        (_context, _cublas) = (context, cublas);
        _handle = CublasLtHandle.Create(context, cublas);
    }

    /// <summary>The plan for a shape; null when cuBLASLt has no kernel that does its epilogue.</summary>
    /// <param name="shape">What is multiplied.</param>
    /// <param name="bias">Address of some bias, for the library to look at; 0 when the epilogue takes none.</param>
    /// <exception cref="CudaException">cuBLASLt has no kernel for the shape even without an epilogue, or failed.</exception>
    public GemmPlan? Find(in GemmShape shape, nint bias)
    {
        if (_plans.TryGetValue(shape, out GemmPlan? plan))
        {
            return plan;
        }

        lock (Gate)
        {
            return _plans.TryGetValue(shape, out plan) ? plan : _plans[shape] = Make(shape, bias);
        }
    }

    /// <summary>Issues a product.</summary>
    /// <param name="plan">What <see cref="Find"/> gave.</param>
    /// <param name="weight">W [N, K].</param>
    /// <param name="bias">N values of the output's type; 0 when the epilogue takes none.</param>
    /// <param name="x">[M, K].</param>
    /// <param name="y">[M, N].</param>
    /// <param name="workspace"><see cref="GemmPlan.WorkspaceBytes"/> bytes.</param>
    /// <param name="stream">Where.</param>
    /// <param name="name">Name of the weight, for messages.</param>
    /// <returns>False when the first run shows that the library cannot do the epilogue for this shape; <see cref="Find"/> then gives
    /// null.</returns>
    public bool Run(GemmPlan plan, nint weight, nint bias, nint x, nint y, nint workspace, nint stream, string name)
    {
        if (plan.HasRun)
        {
            Check(plan.Run(weight, bias, x, y, workspace, stream), "multiplying by ", name, MatmulCall);
            return true;
        }

        lock (Gate)
        {
            if (_plans[plan.Shape] is null)
            {
                return false; // another thread was first
            }

            int status = plan.Run(weight, bias, x, y, workspace, stream);
            if (plan.Shape.Epilogue != MatmulEpilogue.Default && status is CublasLt.InvalidValue or CublasLt.NotSupported)
            {
                _plans[plan.Shape] = null;
                plan.Dispose();
                return false;
            }

            Check(status, "multiplying by ", name, MatmulCall);
            return true;
        }
    }

    public void Dispose()
    {
        foreach (GemmPlan? plan in _plans.Values)
        {
            plan?.Dispose();
        }

        _plans.Clear();
        _handle.Dispose();
    }

    private void Check(int status, string doing, string subject, string call)
    {
        if (status != 0)
        {
            RefuseIfLost();
        }

        CublasLt.Check(status, doing, subject, call);
    }

    // The library has words of its own for the failure of an earlier kernel: the driver knows better.
    private void RefuseIfLost()
    {
        nuint free = 0, total = 0;
        CuResult result = _context.Driver.cuMemGetInfo(&free, &total);
        if (LostContext.Is(result))
        {
            throw _context.Driver.Error(result, "calling cuBLASLt", "cuMemGetInfo(&free, &total)");
        }
    }

    private GemmPlan? Make(in GemmShape shape, nint bias)
    {
        GemmPlan plan = new(_context, _cublas, _handle, shape, bias);
        try
        {
            int status = plan.Choose(_workspaceBytes);
            if (status is not 0 and not CublasLt.NotSupported)
            {
                RefuseIfLost();
            }

            if (status != 0 && shape.Epilogue != MatmulEpilogue.Default)
            {
                // Whatever the reason is: which shapes and epilogues go together differs from version to version, and nothing is lost
                // without one.
                plan.Dispose();
                return null;
            }

            CublasLt.Check(status, "looking for a matrix product for ", shape.ToString(), "cublasLtMatmulAlgoGetHeuristic");
            return plan;
        }
        catch
        {
            plan.Dispose();
            throw;
        }
    }
}

/// <summary>All that the choice of an algorithm depends on.</summary>
/// <param name="Rows">M, rows of x and y.</param>
/// <param name="OutFeatures">N.</param>
/// <param name="InFeatures">K.</param>
/// <param name="XStride">Elements from row to row of x.</param>
/// <param name="YStride">Elements from row to row of y.</param>
/// <param name="XAlignment">Bytes that the address of x is a multiple of, up to 256.</param>
/// <param name="YAlignment">The same for y.</param>
/// <param name="Input">Type of x and W.</param>
/// <param name="Output">Type of y.</param>
/// <param name="Epilogue">What is done to y before it is stored.</param>
internal readonly record struct GemmShape(
    int Rows, int OutFeatures, int InFeatures, long XStride, long YStride, int XAlignment, int YAlignment, DType Input, DType Output, MatmulEpilogue Epilogue);

/// <summary>A matrix product ready to run. Threads take turns, since the address of the bias is part of the descriptor.</summary>
internal sealed unsafe class GemmPlan : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ContextHandle _context;
    private readonly CublasLt _cublas;
    private readonly CublasLtHandle _handle;
    private readonly GemmShape _shape;
    private readonly List<IDisposable> _owned = [];
    private readonly MatmulDescriptor _descriptor;
    private readonly MatrixLayout _weight, _x, _y;
    private MatmulAlgo _algorithm;
    private bool _hasRun;

    public GemmPlan(ContextHandle context, CublasLt cublas, CublasLtHandle handle, in GemmShape shape, nint bias)
    {
        (_context, _cublas, _handle, _shape) = (context, cublas, handle, shape);
        try
        {
            _descriptor = Owned(MatmulDescriptor.Create(context, cublas));
            _descriptor.Set(MatmulDescAttribute.TransposeA, CublasOperation.Transpose);
            _descriptor.Set(MatmulDescAttribute.Epilogue, shape.Epilogue);
            if (bias != 0)
            {
                _descriptor.Set(MatmulDescAttribute.BiasPointer, bias);
            }

            _weight = Owned(MatrixLayout.Create(context, cublas, TypeOf(shape.Input), shape.InFeatures, shape.OutFeatures, shape.InFeatures));
            _x = Owned(MatrixLayout.Create(context, cublas, TypeOf(shape.Input), shape.InFeatures, shape.Rows, shape.XStride));
            _y = Owned(MatrixLayout.Create(context, cublas, TypeOf(shape.Output), shape.OutFeatures, shape.Rows, shape.YStride));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Bytes of scratch memory that <see cref="Run"/> needs.</summary>
    public long WorkspaceBytes { get; private set; }

    /// <summary>What it multiplies.</summary>
    public GemmShape Shape => _shape;

    /// <summary>True once a product was issued: the library has loaded the kernel.</summary>
    public bool HasRun => Volatile.Read(ref _hasRun);

    /// <summary>Asks the library's heuristics for an algorithm; gives its status, 0 for success.</summary>
    public int Choose(long workspaceBytes)
    {
        using MatmulPreference preference = MatmulPreference.Create(_context, _cublas);
        preference.Set(MatmulPreferenceAttribute.MaxWorkspaceBytes, (ulong)workspaceBytes);
        preference.Set(MatmulPreferenceAttribute.MinAlignmentA, (uint)Arena.Alignment);
        preference.Set(MatmulPreferenceAttribute.MinAlignmentB, (uint)_shape.XAlignment);
        preference.Set(MatmulPreferenceAttribute.MinAlignmentC, (uint)_shape.YAlignment);
        preference.Set(MatmulPreferenceAttribute.MinAlignmentD, (uint)_shape.YAlignment);
        MatmulHeuristicResult result = default;
        int found = 0;
        int status = _cublas.cublasLtMatmulAlgoGetHeuristic(
            _handle.Value, _descriptor.Value, _weight.Value, _x.Value, _y.Value, _y.Value, preference.Value, 1, &result, &found);
        if (status == 0 && (found == 0 || result.State != 0))
        {
            status = CublasLt.NotSupported;
        }

        (_algorithm, WorkspaceBytes) = (result.Algo, (long)result.WorkspaceSize);
        return status;
    }

    /// <summary>Issues the product; gives the library's status, 0 for success.</summary>
    public int Run(nint weight, nint bias, nint x, nint y, nint workspace, nint stream)
    {
        float one = 1, zero = 0;
        lock (_lock)
        {
            if (bias != 0)
            {
                _descriptor.Set(MatmulDescAttribute.BiasPointer, bias);
            }

            MatmulAlgo algorithm = _algorithm;
            int status = _cublas.cublasLtMatmul(
                _handle.Value,
                _descriptor.Value,
                &one,
                (void*)weight,
                _weight.Value,
                (void*)x,
                _x.Value,
                &zero,
                (void*)y,
                _y.Value,
                (void*)y,
                _y.Value,
                &algorithm,
                (void*)workspace,
                (nuint)WorkspaceBytes,
                stream);
            Volatile.Write(ref _hasRun, status == 0);
            return status;
        }
    }

    public void Dispose()
    {
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }
    }

    private static CudaDataType TypeOf(DType type) => type == DType.BF16 ? CudaDataType.BF16 : CudaDataType.F32;

    private T Owned<T>(T value)
        where T : IDisposable
    {
        _owned.Add(value);
        return value;
    }
}
