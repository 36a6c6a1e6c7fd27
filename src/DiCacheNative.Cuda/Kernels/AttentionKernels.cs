using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda.Kernels;

/// <summary>A tile shape of kernels/attention_tiles.cuh.</summary>
/// <param name="Head">Padded head width.</param>
/// <param name="Queries">Queries per block.</param>
/// <param name="Keys">Keys per tile.</param>
/// <param name="Warps">Warps per block.</param>
/// <param name="AnyAlignment">True when rows may start anywhere.</param>
internal readonly record struct AttentionTile(int Head, int Queries, int Keys, int Warps, bool AnyAlignment)
{
    /// <summary>The table, narrowest head first.</summary>
    public static AttentionTile[] All { get; } =
    [
        new(32, 128, 64, 4, true),
        new(64, 128, 64, 4, true),
        new(128, 128, 64, 4, false),
        new(256, 64, 64, 4, false),
    ];

    /// <summary>Queries per block of the kernels without tiles; kSingleQueries.</summary>
    public const int SingleQueries = 4;

    /// <summary>Dynamic shared memory of a block: a tile of queries, one of keys and one of values.</summary>
    public int SharedBytes => (Queries + (2 * Keys)) * Head * sizeof(ushort);
}

/// <summary>The attention kernels and which of them serves what.</summary>
internal sealed unsafe class AttentionKernels
{
    private readonly Choice[] _tiled;
    private readonly KernelFamily _single;

    public AttentionKernels(Driver driver, KernelTable kernels)
    {
        _single = kernels.Family("attention_single");
        _tiled = [.. AttentionTile.All.Select(t => new Choice(kernels[$"attention_bf16_{t.Head}"], t.Queries, 32 * t.Warps, t.SharedBytes, t.AnyAlignment))];
        foreach (Choice c in _tiled)
        {
            // More than 48 KB must be asked for.
            driver.Check(
                driver.cuFuncSetAttribute(c.Kernel.Function, CuFunctionAttribute.MaxDynamicSharedSizeBytes, c.SharedBytes),
                "reserving shared memory for ",
                c.Kernel.Name);
        }
    }

    /// <summary>The kernel for heads of a width; <paramref name="wide"/> when all rows can be moved 16 bytes at a time.</summary>
    public Choice For(DType type, int headWidth, bool wide)
    {
        if (type == DType.BF16)
        {
            int i = Array.FindIndex(AttentionTile.All, t => headWidth <= t.Head);
            if (wide || _tiled[i].AnyAlignment)
            {
                return _tiled[i];
            }
        }

        return new(_single.For(type), AttentionTile.SingleQueries, 32 * AttentionTile.SingleQueries, 0, true);
    }

    /// <summary>A kernel with its launch.</summary>
    internal readonly record struct Choice(CudaKernel Kernel, int QueriesPerBlock, int Threads, int SharedBytes, bool AnyAlignment);
}
