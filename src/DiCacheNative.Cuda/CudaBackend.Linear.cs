using System.Numerics;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Linear layers.</content>
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Linear(ActivationType, x, weight, y);
        if (weight is not CudaLinearWeight w || w.Owner != this)
        {
            throw new ArgumentException($"the weight {weight.Name} was made by another backend", nameof(weight));
        }

        CudaStream stream = Enter();

        // Samples that follow each other without a gap are one product.
        if (x.Batch == 1 || (x.BatchStride == x.Rows * x.RowStride && y.BatchStride == y.Rows * y.RowStride))
        {
            Multiply(stream, Joined(x), w, Joined(y), epilogue);
        }
        else
        {
            for (int b = 0; b < x.Batch; b++)
            {
                Multiply(stream, x.SliceBatch(b), w, y.SliceBatch(b), epilogue);
            }
        }

        GC.KeepAlive(w);
    }

    private static Tensor Joined(in Tensor t) => t with { Batch = 1, Rows = t.Batch * t.Rows };

    private static MatmulEpilogue? InCublas(Epilogue epilogue, bool bias) => epilogue switch
    {
        Epilogue.None => bias ? MatmulEpilogue.Bias : MatmulEpilogue.Default,
        Epilogue.GeluTanh => bias ? MatmulEpilogue.GeluBias : MatmulEpilogue.Gelu,
        _ => null,
    };

    /// <summary>Bytes that an address is a multiple of, as far as cuBLASLt cares.</summary>
    private static int AlignmentOf(nint address) => Math.Min(Arena.Alignment, 1 << Math.Min(8, BitOperations.TrailingZeroCount(address)));

    private static GemmShape ShapeOf(in Tensor x, CudaLinearWeight w, in Tensor y, MatmulEpilogue epilogue) => new(
        x.Rows,
        w.OutFeatures,
        w.InFeatures,
        x.Rows > 1 ? x.RowStride : x.Cols,
        y.Rows > 1 ? y.RowStride : y.Cols,
        AlignmentOf(x.Data),
        AlignmentOf(y.Data),
        x.Type,
        y.Type,
        epilogue);

    /// <summary>One product, the epilogue inside it where cuBLASLt can.</summary>
    private void Multiply(CudaStream stream, in Tensor x, CudaLinearWeight w, in Tensor y, Epilogue epilogue)
    {
        if (InCublas(epilogue, w.Bias != 0) is { } fused)
        {
            nint bias = y.Type == ActivationType ? w.StoredBias : w.Bias;
            GemmShape shape = ShapeOf(x, w, y, fused);
            if (_gemms.Find(shape, bias) is { } plan && Run(stream, plan, x, w, bias, y, stream.Scratch.Take(plan.WorkspaceBytes)))
            {
                return;
            }
        }

        // The sums stay in F32 until the epilogue is applied, so that there is one rounding here as well.
        long productBytes = y.Type == DType.F32 ? 0 : Aligned(y.Count * sizeof(float));
        Tensor product = productBytes == 0 ? y : Tensor.Dense(Arena.Alignment, DType.F32, 1, y.Rows, y.Cols);
        GemmPlan plain = _gemms.Find(ShapeOf(x, w, product, MatmulEpilogue.Default), 0)!;
        nint scratch = stream.Scratch.Take(productBytes + plain.WorkspaceBytes);
        product = productBytes == 0 ? y : product with { Data = scratch };
        Run(stream, plain, x, w, 0, product, scratch + (nint)productBytes);
        Activate(stream, product, y, w.Bias, epilogue);
    }

    /// <summary>Issues a product; false when cuBLASLt, asked for the first time, cannot do its epilogue after all.</summary>
    private bool Run(CudaStream stream, GemmPlan plan, in Tensor x, CudaLinearWeight w, nint bias, in Tensor y, nint workspace)
    {
        if (!_gemms.Run(plan, w.Matrix, bias, x.Data, y.Data, workspace, stream.Handle, w.Name))
        {
            return false;
        }

        Issued(stream, "running the product by ", w.Name);
        return true;
    }
}
