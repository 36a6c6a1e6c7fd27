using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>Conversion of binary32 to bfloat16.</summary>
internal static class BFloat16
{
    /// <summary>Rounds to nearest, ties to even; a NaN stays a NaN.</summary>
    public static ushort Round(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return (ushort)(float.IsNaN(value) ? (bits >> 16) | 0x40 : (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Rounds a run of values.</summary>
    /// <param name="source">Values.</param>
    /// <param name="destination">At least as long.</param>
    public static void Round(ReadOnlySpan<float> source, Span<ushort> destination)
    {
        int lanes = Vector256<uint>.Count, i = 0;
        ref float from = ref MemoryMarshal.GetReference(source);
        ref ushort to = ref MemoryMarshal.GetReference(destination[..source.Length]);
        for (; i <= source.Length - (2 * lanes); i += 2 * lanes)
        {
            Vector256<uint> low = Round(Vector256.LoadUnsafe(ref from, (nuint)i));
            Vector256<uint> high = Round(Vector256.LoadUnsafe(ref from, (nuint)(i + lanes)));
            Vector256.Narrow(low, high).StoreUnsafe(ref to, (nuint)i);
        }

        for (; i < source.Length; i++)
        {
            destination[i] = Round(source[i]);
        }
    }

    private static Vector256<uint> Round(Vector256<float> value)
    {
        Vector256<uint> bits = value.AsUInt32();
        Vector256<uint> rounded = (bits + Vector256.Create(0x7FFFu) + ((bits >>> 16) & Vector256.Create(1u))) >>> 16;
        Vector256<uint> nan = (bits >>> 16) | Vector256.Create(0x40u);
        return Vector256.ConditionalSelect(Vector256.Equals(value, value).AsUInt32(), rounded, nan);
    }
}
