using System.Runtime.CompilerServices;

namespace DiCacheNative.Cpu.Simd;

/// <summary>Ends of rows that do not fill a vector.</summary>
internal static unsafe class Rows<TSimd, TVector, TWide>
    where TSimd : struct, ISimd<TVector, TWide>
    where TVector : struct
    where TWide : struct
{
    /// <summary>Loads fewer elements than a vector has; the others are 0.</summary>
    /// <param name="source">First element.</param>
    /// <param name="count">Number of elements, less than the width.</param>
    /// <param name="buffer">Room for a vector.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static TVector LoadPart(float* source, int count, float* buffer)
    {
        TSimd.Store(buffer, TSimd.Zero);
        for (int i = 0; i < count; i++)
        {
            buffer[i] = source[i];
        }

        return TSimd.Load(buffer);
    }

    /// <summary>Copies the first elements of a stored vector.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void StorePart(float* destination, int count, float* buffer)
    {
        for (int i = 0; i < count; i++)
        {
            destination[i] = buffer[i];
        }
    }
}
