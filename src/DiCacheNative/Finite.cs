using System.Numerics;
using System.Runtime.InteropServices;

namespace DiCacheNative;

/// <summary>Looks for numbers that are not finite.</summary>
internal static class Finite
{
    /// <summary>Whether no value is NaN or infinite. One pass, as fast as memory gives the values.</summary>
    public static bool All(ReadOnlySpan<float> values)
    {
        // Zero times a finite number is zero; times anything else it is NaN, which no addition takes away.
        ReadOnlySpan<Vector<float>> vectors = MemoryMarshal.Cast<float, Vector<float>>(values);
        Vector<float> sum = Vector<float>.Zero;
        foreach (Vector<float> v in vectors)
        {
            sum += v * Vector<float>.Zero;
        }

        float rest = Vector.Sum(sum);
        foreach (float v in values[(vectors.Length * Vector<float>.Count)..])
        {
            rest += v * 0;
        }

        return rest == 0;
    }
}
