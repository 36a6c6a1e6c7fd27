using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// Brings weights to the device: read from their file, converted into page-locked buffers, copied in the background while the next
/// buffer is filled. No copy of a weight is ever whole in host memory.
/// </summary>
internal sealed unsafe class WeightUploader(ContextHandle context, DType type) : IDisposable
{
    private const int SlotBytes = 8 << 20; // long enough for full speed over PCIe, short enough that three cost nothing
    private const int Slots = 3;

    private readonly Lock _lock = new();
    private readonly StagingRing _staging = new(context, SlotBytes, Slots);
    private readonly float[] _widened = new float[1 << 14]; // stays in the L1 cache between widening and rounding
    private StreamHandle? _stream;

    /// <summary>Uploads a weight; its numbers are on the device on return.</summary>
    public CudaLinearWeight Upload(in LinearSource source, int outFeatures, int inFeatures, CudaBackend owner)
    {
        CudaLinearWeight.Layout layout = LayoutOf(outFeatures, inFeatures, source.Biases.Count > 0, type);
        DeviceMemory memory = DeviceMemory.Allocate(context, layout.Bytes, $"the weight {source.Name}");
        try
        {
            lock (_lock)
            {
                _stream ??= StreamHandle.Create(context);
                Copy(source.Weights, memory.Value, type, source.Name);
                if (layout.Bias != 0)
                {
                    Copy(source.Biases, memory.Value + (nint)layout.Bias, DType.F32, source.Name);
                    Copy(source.Biases, memory.Value + (nint)layout.StoredBias, type, source.Name);
                }

                context.Driver.Check(context.Driver.cuStreamSynchronize(_stream.Value), "uploading the weight ", source.Name);
            }
        }
        catch
        {
            memory.Dispose();
            throw;
        }

        return new CudaLinearWeight(source.Name, outFeatures, inFeatures, memory, layout, owner);
    }

    public void Dispose()
    {
        _staging.Dispose();
        _stream?.Dispose();
    }

    private static CudaLinearWeight.Layout LayoutOf(int n, int k, bool bias, DType type)
    {
        static long Aligned(long bytes) => (bytes + Arena.Alignment - 1) / Arena.Alignment * Arena.Alignment;
        long matrix = Aligned((long)n * k * type.Size());
        long single = matrix + Aligned((long)n * sizeof(float));
        return bias ? new(matrix, single, single + Aligned((long)n * type.Size())) : new(0, 0, matrix);
    }

    private void Copy(IReadOnlyList<HostTensor> parts, nint device, DType to, string name)
    {
        int perSlot = _staging.SlotBytes / to.Size();
        foreach (HostTensor part in parts)
        {
            for (long at = 0; at < part.Count; at += perSlot)
            {
                int count = (int)Math.Min(perSlot, part.Count - at);
                StagingRing.Slot slot = _staging.Next();
                Convert(part, at, count, slot.Address, to);
                slot.CopyTo(device, (long)count * to.Size(), _stream!.Value, name);
                device += count * to.Size();
            }
        }
    }

    private void Convert(in HostTensor part, long offset, int count, nint slot, DType to)
    {
        if (part.Type == to)
        {
            part.CopyBytes(new Span<byte>((void*)slot, count * to.Size()), offset * to.Size());
            return;
        }

        if (to == DType.F32)
        {
            part.CopyTo(new Span<float>((void*)slot, count), offset);
            return;
        }

        Span<ushort> rounded = new((void*)slot, count);
        for (int at = 0; at < count; at += _widened.Length)
        {
            Span<float> piece = _widened.AsSpan(0, Math.Min(_widened.Length, count - at));
            part.CopyTo(piece, offset + at);
            BFloat16.Round(piece, rounded[at..]);
        }
    }
}
