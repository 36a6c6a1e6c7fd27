using System.Numerics;
using System.Runtime.CompilerServices;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>Conversion of rows between binary32 and bfloat16.</summary>
internal static unsafe class Bf16Rows
{
    /// <summary>Rounds to nearest, ties to even; NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Round(float* source, ushort* destination, int count)
    {
        int i = 0, width = Vector<uint>.Count;
        for (; i <= count - (2 * width); i += 2 * width)
        {
            Vector.Store(Vector.Narrow(Round(Vector.Load(source + i)), Round(Vector.Load(source + i + width))), destination + i);
        }

        for (; i < count; i++)
        {
            destination[i] = Round(source[i]);
        }
    }

    /// <summary>Rounds to bfloat16 and widens again: the nearest binary32 number with eight bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void RoundInPlace(float* values, long count)
    {
        long i = 0;
        for (; i <= count - Vector<uint>.Count; i += Vector<uint>.Count)
        {
            Vector.Store(Round(Vector.Load(values + i)) << 16, (uint*)values + i);
        }

        for (; i < count; i++)
        {
            values[i] = BitConverter.UInt32BitsToSingle((uint)Round(values[i]) << 16);
        }
    }

    /// <summary>Rounds one value.</summary>
    internal static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Widens, exactly.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Widen(ushort* source, float* destination, int count)
    {
        for (int i = 0; i < count; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)source[i] << 16);
        }
    }

    private static Vector<uint> Round(Vector<float> value)
    {
        Vector<uint> bits = Vector.AsVectorUInt32(value);
        Vector<uint> rounded = (bits + new Vector<uint>(0x7FFF) + ((bits >>> 16) & Vector<uint>.One)) >>> 16;
        Vector<uint> number = Vector.AsVectorUInt32(Vector.Equals(value, value));
        return Vector.ConditionalSelect(number, rounded, (bits >>> 16) | new Vector<uint>(0x40));
    }
}
