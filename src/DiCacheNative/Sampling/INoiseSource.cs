namespace DiCacheNative.Sampling;

/// <summary>A seeded stream of normally distributed numbers. Not safe for use by several threads at once.</summary>
public interface INoiseSource
{
    /// <summary>Fills an array with independent numbers of mean 0 and variance 1; the next call goes on where this one stopped.</summary>
    /// <param name="destination">A whole tensor: the numbers depend on how many are asked for at once, as in PyTorch.</param>
    void Fill(Span<float> destination);

    /// <summary>A generator of the given kind. The same kind and seed give the same bytes on every machine.</summary>
    /// <param name="kind">Which published generator.</param>
    /// <param name="seed">Any number; what <c>torch.manual_seed</c> takes.</param>
    static INoiseSource Create(RngKind kind, ulong seed) => kind switch
    {
        RngKind.Torch => new TorchRandom(seed),
        RngKind.Philox => new PhiloxRandom(seed),
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "there is no such generator"),
    };
}
