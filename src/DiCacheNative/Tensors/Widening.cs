using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace DiCacheNative.Tensors;

/// <summary>
/// Conversion of stored elements to binary32, a vector at a time for the types checkpoints are kept in. The source need not be aligned.
/// The loops wait for memory, so wider vectors than these would not be faster.
/// </summary>
internal static unsafe class Widening
{
    private const int Lanes = 8;

    /// <summary>Converts <c>destination.Length</c> elements.</summary>
    internal static void ToSingle(byte* source, DType type, Span<float> destination)
    {
        switch (type)
        {
            case DType.F32:
                new ReadOnlySpan<byte>(source, checked(destination.Length * sizeof(float))).CopyTo(MemoryMarshal.AsBytes(destination));
                break;
            case DType.BF16:
                BFloat16(source, destination);
                break;
            case DType.F16:
                Half(source, destination);
                break;
            case DType.F64:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = (float)Unsafe.ReadUnaligned<double>(source + ((long)i * sizeof(double)));
                }

                break;
            case DType.I64:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = Unsafe.ReadUnaligned<long>(source + ((long)i * sizeof(long)));
                }

                break;
            default:
                for (int i = 0; i < destination.Length; i++)
                {
                    destination[i] = Unsafe.ReadUnaligned<int>(source + ((long)i * sizeof(int)));
                }

                break;
        }
    }

    private static void BFloat16(byte* source, Span<float> destination)
    {
        int i = 0;
        fixed (float* to = destination)
        {
            for (; i <= destination.Length - (2 * Lanes); i += 2 * Lanes)
            {
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load((ushort*)source + i));
                (low << 16).AsSingle().Store(to + i);
                (high << 16).AsSingle().Store(to + i + Lanes);
            }
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = BitConverter.UInt32BitsToSingle((uint)Unsafe.ReadUnaligned<ushort>(source + ((long)i * 2)) << 16);
        }
    }

    private static void Half(byte* source, Span<float> destination)
    {
        int i = 0;
        fixed (float* to = destination)
        {
            for (; i <= destination.Length - (2 * Lanes); i += 2 * Lanes)
            {
                (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(Vector256.Load((ushort*)source + i));
                Half(low).Store(to + i);
                Half(high).Store(to + i + Lanes);
            }
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = (float)BitConverter.UInt16BitsToHalf(Unsafe.ReadUnaligned<ushort>(source + ((long)i * 2)));
        }
    }

    /// <summary>Eight binary16 patterns, each in the low half of a lane.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Half(Vector256<uint> bits)
    {
        // Exponent and mantissa are put in place and the exponent's bias is corrected by a multiplication, which also
        // normalises subnormal numbers. Infinity and NaN come out finite and get their exponent of all ones back.
        Vector256<uint> magnitude = bits & Vector256.Create(0x7FFFu);
        Vector256<float> value = (magnitude << 13).AsSingle() * Vector256.Create(5.192296858534828e33f); // 2^112
        Vector256<uint> special = Vector256.GreaterThan(magnitude, Vector256.Create(0x7BFFu)) & Vector256.Create(0x7F800000u);
        Vector256<uint> sign = (bits & Vector256.Create(0x8000u)) << 16;
        return (value.AsUInt32() | special | sign).AsSingle();
    }
}
