using System.Runtime.InteropServices;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>
/// Random weights for measurements: bf16, uniform in +-sqrt(3/K) for a matrix [N, K], so that activations neither vanish nor explode. All
/// tensors are windows of one block of numbers, which keeps the making of a 12-billion-parameter model a matter of seconds.
/// </summary>
internal sealed unsafe class RandomTensors : IDisposable
{
    // Values in +-1 for a scale that is a power of two away from what is needed; one block per power of two.
    private readonly Dictionary<(int Scale, int Blocks), (nint Data, long Count)> _blocks = [];
    private readonly Random _random;

    public RandomTensors(int seed)
    {
#pragma warning disable CA5394 // Weights for measurements, not secrets.
        _random = new Random(seed);
#pragma warning restore CA5394
    }

    /// <summary>A tensor of a shape; a vector is ones for a norm scale and small numbers otherwise.</summary>
    public HostTensor Take(string name, int[] shape)
    {
        bool isNorm = shape.Length == 1 && name.EndsWith(".weight", StringComparison.Ordinal);
        long count = shape.Aggregate(1L, (a, b) => checked(a * b));
        double inFeatures = (double)count / shape[0];
        int scale = isNorm ? int.MinValue : shape.Length < 2 ? -5 : (int)Math.Round(Math.Log2(Math.Sqrt(3.0 / inFeatures)));
        return new HostTensor(name, Block(scale, count), DType.BF16, shape);
    }

    public void Dispose()
    {
        foreach ((nint data, _) in _blocks.Values)
        {
            NativeMemory.Free((void*)data);
        }

        _blocks.Clear();
    }

    private nint Block(int scale, long count)
    {
        // Rounded up to a power of two, so that few blocks serve all layers.
        int bits = Math.Max(12, 64 - System.Numerics.BitOperations.LeadingZeroCount((ulong)Math.Max(1, count - 1)));
        if (!_blocks.TryGetValue((scale, bits), out (nint Data, long Count) block))
        {
            block = ((nint)NativeMemory.Alloc((nuint)(1L << bits), sizeof(ushort)), 1L << bits);
            Fill(new Span<ushort>((void*)block.Data, checked((int)block.Count)), scale);
            _blocks.Add((scale, bits), block);
        }

        return block.Data;
    }

    private void Fill(Span<ushort> values, int scale)
    {
        if (scale == int.MinValue)
        {
            values.Fill(0x3F80);
            return;
        }

        // Random sign and mantissa, exponent of 2^(scale - 1) or 2^scale: no multiplication, and no denormal numbers.
#pragma warning disable CA5394
        _random.NextBytes(MemoryMarshal.AsBytes(values));
#pragma warning restore CA5394
        int exponent = 127 + scale - 1;
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (ushort)((values[i] & 0x807F) | ((exponent + ((values[i] >> 7) & 1)) << 7));
        }
    }
}
