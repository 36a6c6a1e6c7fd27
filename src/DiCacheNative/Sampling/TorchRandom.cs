using System.Runtime.Intrinsics;

namespace DiCacheNative.Sampling;

/// <summary>
/// The numbers of <c>torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed))</c> in binary32, as PyTorch makes them on
/// x86 with AVX2 (and AVX-512, where it uses the same code).
/// </summary>
/// <remarks>
/// PyTorch has two ways. Fewer than 16 numbers: Box and Muller's method in binary64, one number at a time, the second of a pair kept for
/// the next call. 16 and more: uniform numbers of 24 bits, then in place for every 16 of them the first 8 as radius and the last 8 as
/// angle, in binary32 with <see cref="CephesMath"/>; if the count is no multiple of 16, the last 16 numbers are drawn anew.
/// PyTorch on other processors differs in the last bits of the second way, because it calls the C library there.
/// </remarks>
public sealed class TorchRandom : INoiseSource
{
    private const int Block = 16;

    private readonly MersenneTwister _bits;
    private double? _kept;

    /// <summary>Starts the generator.</summary>
    /// <param name="seed">Any number. The Mersenne Twister takes its low 32 bits, as in PyTorch.</param>
    public TorchRandom(ulong seed) => _bits = new MersenneTwister(unchecked((uint)seed));

    /// <inheritdoc/>
    public void Fill(Span<float> destination)
    {
        if (destination.Length < Block)
        {
            foreach (ref float value in destination)
            {
                value = (float)NextNormal();
            }

            return;
        }

        FillUniform(destination);
        for (int i = 0; i <= destination.Length - Block; i += Block)
        {
            ToNormal(destination.Slice(i, Block));
        }

        if (destination.Length % Block != 0)
        {
            Span<float> tail = destination[^Block..];
            FillUniform(tail);
            ToNormal(tail);
        }
    }

    private static void ToNormal(Span<float> block)
    {
        // [0, 1) becomes (0, 1], so that the logarithm is finite.
        Vector256<float> u1 = Vector256<float>.One - Vector256.Create<float>(block);
        Vector256<float> u2 = Vector256.Create<float>(block[8..]);
        Vector256<float> radius = Vector256.Sqrt(Vector256.Create(-2f) * CephesMath.Log(u1));
        (Vector256<float> sin, Vector256<float> cos) = CephesMath.SinCos(Vector256.Create(2 * MathF.PI) * u2);
        // Adding 0 turns a negative zero into a positive one, as the original's scaling by 1 and shift by 0 does.
        ((radius * cos) + Vector256<float>.Zero).CopyTo(block);
        ((radius * sin) + Vector256<float>.Zero).CopyTo(block[8..]);
    }

    private void FillUniform(Span<float> destination)
    {
        foreach (ref float value in destination)
        {
            value = (_bits.NextUInt32() & 0xFFFFFF) * (1f / (1 << 24));
        }
    }

    private double NextNormal()
    {
        if (_kept is double kept)
        {
            _kept = null;
            return kept;
        }

        double u1 = NextDouble(), u2 = NextDouble();
        // 1 - u2 is exact: u2 is a multiple of 2^-53.
        double radius = Math.Sqrt(-2 * Math.Log(1 - u2)), angle = 2 * Math.PI * u1;
        _kept = radius * Math.Sin(angle);
        return radius * Math.Cos(angle);
    }

    private double NextDouble() => (_bits.NextUInt64() & ((1UL << 53) - 1)) * (1.0 / (1UL << 53));
}
