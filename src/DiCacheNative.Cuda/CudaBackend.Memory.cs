using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Memory and transfers.</content>
public sealed unsafe partial class CudaBackend
{
    /// <inheritdoc/>
    public Arena CreateArena(long bytes, string purpose)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        using Lifetime.Use use = _lifetime.Enter();
        EnterAtOnce("creating an arena");
        return new CudaArena(DeviceMemory.Allocate(_context, Math.Max(bytes, Arena.Alignment), purpose), bytes);
    }

    /// <inheritdoc/>
    public bool HasOwnMemory => true;

    /// <inheritdoc/>
    public long AvailableBytes => Memory().Free;

    /// <summary>Device memory that is free now, and all there is, in bytes.</summary>
    public (long Free, long Total) Memory()
    {
        using Lifetime.Use use = _lifetime.Enter();
        Enter();
        nuint free = 0, total = 0;
        _driver.Check(_driver.cuMemGetInfo(&free, &total), "asking for free memory");
        return ((long)free, (long)total);
    }

    /// <inheritdoc/>
    public LinearWeight CreateLinear(in LinearSource source)
    {
        using Lifetime.Use use = _lifetime.Enter();
        (int n, int k) = OpValidation.Linear(source);
        EnterAtOnce("creating a weight");
        return _uploader.Upload(source, n, k, this);
    }

    /// <inheritdoc/>
    public void Upload(ReadOnlySpan<float> source, in Tensor destination)
    {
        using Lifetime.Use use = _lifetime.Enter();
        RequireTransfer(source.Length, destination);
        CudaStream stream = EnterAtOnce("an upload");
        int size = destination.Type.Size();
        Tensor dense = destination.IsContiguous
            ? destination
            : Tensor.Dense(stream.Scratch.Take(destination.Count * size), destination.Type, destination.Batch, destination.Rows, destination.Cols);
        int perSlot = stream.Staging.SlotBytes / size;
        for (int at = 0; at < source.Length; at += perSlot)
        {
            ReadOnlySpan<float> piece = source.Slice(at, Math.Min(perSlot, source.Length - at));
            StagingRing.Slot slot = stream.Staging.Next();
            if (destination.Type == DType.F32)
            {
                piece.CopyTo(new Span<float>((void*)slot.Address, piece.Length));
            }
            else
            {
                BFloat16.Round(piece, new Span<ushort>((void*)slot.Address, piece.Length));
            }

            slot.CopyTo(dense.Data + ((nint)at * size), (long)piece.Length * size, stream.Handle, "an upload");
        }

        if (dense.Data != destination.Data)
        {
            Copy(stream, dense, destination);
        }
    }

    /// <inheritdoc/>
    public void Download(in Tensor source, Span<float> destination)
    {
        using Lifetime.Use use = _lifetime.Enter();
        RequireTransfer(destination.Length, source);
        CudaStream stream = EnterAtOnce("a download");
        nint dense = source.Data;
        if (!source.IsContiguous || source.Type != DType.F32)
        {
            dense = stream.Scratch.Take(source.Count * sizeof(float));
            Copy(stream, source, Tensor.Dense(dense, DType.F32, source.Batch, source.Rows, source.Cols));
        }

        int perSlot = stream.Staging.SlotBytes / sizeof(float);
        for (int at = 0; at < destination.Length; at += perSlot)
        {
            Span<float> piece = destination.Slice(at, Math.Min(perSlot, destination.Length - at));
            StagingRing.Slot slot = stream.Staging.Next();
            _driver.Check(
                _driver.cuMemcpyDtoHAsync(slot.Address, dense + ((nint)at * sizeof(float)), (nuint)(piece.Length * sizeof(float)), stream.Handle),
                "copying a result to the host");
            _driver.Check(_driver.cuStreamSynchronize(stream.Handle), "waiting for a result");
            new ReadOnlySpan<float>((void*)slot.Address, piece.Length).CopyTo(piece);
        }
    }

    private static void RequireTransfer(int length, in Tensor tensor)
    {
        if (tensor.IsEmpty || length != tensor.Count)
        {
            throw new ShapeException($"a span of {length} values does not fit {tensor}");
        }

        OpValidation.RequireAlive("transfer", "the tensor", tensor);

        if (tensor.Type is not (DType.F32 or DType.BF16))
        {
            throw new ShapeException($"{tensor} is not of a floating-point type that the CUDA backend copies");
        }
    }

    private sealed class CudaArena(DeviceMemory memory, long capacity) : Arena(memory.Value, capacity)
    {
        protected override void Dispose(bool disposing)
        {
            memory.Dispose();
            base.Dispose(disposing);
        }
    }
}
