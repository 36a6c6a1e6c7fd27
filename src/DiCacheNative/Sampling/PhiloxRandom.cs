namespace DiCacheNative.Sampling;

/// <summary>
/// The numbers of <c>torch.randn(shape, device="cuda")</c> after <c>torch.manual_seed(seed)</c> in binary32: Philox 4x32 with ten rounds
/// (Salmon et al., 2011), where the seed is the key, the number's index is the subsequence and each call is one step of the offset.
/// </summary>
/// <remarks>
/// Equal to PyTorch while its launch has a thread for every number (some 270,000 on an H100); beyond that PyTorch reuses threads, while
/// the convention followed here, that of the web UI's "NV" noise and of stable-diffusion.cpp's cuda generator, goes on counting.
/// Here the last step is taken in binary64; a GPU takes it in binary32 with an approximate sine, so values agree to about 1e-6 only.
/// </remarks>
public sealed class PhiloxRandom : INoiseSource
{
    private readonly uint _key0;
    private readonly uint _key1;
    private uint _offset;

    /// <summary>Starts the generator.</summary>
    /// <param name="seed">The 64-bit key.</param>
    public PhiloxRandom(ulong seed) => (_key0, _key1) = (unchecked((uint)seed), unchecked((uint)(seed >> 32)));

    /// <inheritdoc/>
    public void Fill(Span<float> destination)
    {
        for (int i = 0; i < destination.Length; i++)
        {
            (uint x, uint y, _, _) = Block(_offset, 0, (uint)i, 0, _key0, _key1);
            destination[i] = Normal(x, y);
        }

        _offset++;
    }

    /// <summary>One application of the generator: counter (4 words) and key (2 words) to 128 random bits.</summary>
    internal static (uint X, uint Y, uint Z, uint W) Block(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (int round = 0; round < 10; round++)
        {
            ulong a = c0 * 0xD2511F53UL, b = c2 * 0xCD9E8D57UL;
            (c0, c1, c2, c3) = ((uint)(b >> 32) ^ c1 ^ k0, (uint)b, (uint)(a >> 32) ^ c3 ^ k1, (uint)a);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }

        return (c0, c1, c2, c3);
    }

    /// <summary>Box and Muller's method, sine half, with cuRAND's scaling: every integer stands for the middle of its interval.</summary>
    private static float Normal(uint x, uint y)
    {
        const double unit = 1.0 / (1L << 32);
        double u = (x + 0.5) * unit, angle = (y + 0.5) * unit * (2 * Math.PI);
        return (float)(Math.Sqrt(-2 * Math.Log(u)) * Math.Sin(angle));
    }
}
