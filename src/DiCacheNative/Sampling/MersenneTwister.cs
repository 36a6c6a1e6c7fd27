namespace DiCacheNative.Sampling;

/// <summary>The generator MT19937 of Matsumoto and Nishimura (1998), 32 bits at a time.</summary>
internal sealed class MersenneTwister
{
    private const int Size = 624;
    private const int Middle = 397;

    private readonly uint[] _state = new uint[Size];
    private int _next = Size;

    /// <summary>Starts the published initialisation from one number.</summary>
    internal MersenneTwister(uint seed)
    {
        _state[0] = seed;
        for (int i = 1; i < Size; i++)
        {
            uint previous = _state[i - 1];
            _state[i] = (1812433253u * (previous ^ (previous >> 30))) + (uint)i;
        }
    }

    /// <summary>The next 32 random bits.</summary>
    internal uint NextUInt32()
    {
        if (_next == Size)
        {
            Twist();
        }

        uint y = _state[_next++];
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C5680u;
        y ^= (y << 15) & 0xEFC60000u;
        return y ^ (y >> 18);
    }

    /// <summary>The next 64 random bits; the first draw gives the upper half, as in PyTorch.</summary>
    internal ulong NextUInt64()
    {
        ulong upper = NextUInt32();
        return (upper << 32) | NextUInt32();
    }

    private void Twist()
    {
        uint[] s = _state;
        for (int i = 0; i < Size; i++)
        {
            uint y = (s[i] & 0x80000000u) | (s[(i + 1) % Size] & 0x7FFFFFFFu);
            s[i] = s[(i + Middle) % Size] ^ (y >> 1) ^ ((y & 1) * 0x9908B0DFu);
        }

        _next = 0;
    }
}
