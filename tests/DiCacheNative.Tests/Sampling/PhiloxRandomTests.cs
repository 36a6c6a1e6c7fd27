using DiCacheNative.Sampling;

namespace DiCacheNative.Tests.Sampling;

public sealed class PhiloxRandomTests
{
    // Lines "philox4x32 10" of kat_vectors, the known answers of Random123: counter, key, result.
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    [InlineData(0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u, 0xa4093822u, 0x299f31d0u, 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u)]
    public void The_bits_are_the_published_known_answers(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1, uint x, uint y, uint z, uint w) =>
        Assert.Equal((x, y, z, w), PhiloxRandom.Block(c0, c1, c2, c3, k0, k1));

    [Fact]
    public void Seed_0_gives_the_numbers_published_for_torch_on_cuda()
    {
        float[] expected =
        [
            -0.92466259f, -0.42534415f, -2.6438457f, 0.14518388f, -0.12086647f, -0.57972564f,
            -0.62285122f, -0.32838709f, -1.07454231f, -0.36314407f, -1.67105067f, 2.26550497f,
        ];
        float[] got = new float[expected.Length];
        INoiseSource.Create(RngKind.Philox, 0).Fill(got);
        for (int i = 0; i < got.Length; i++)
        {
            Assert.Equal(expected[i], got[i], 3e-8f);
        }
    }

    [Fact]
    public void Calls_seeds_and_their_upper_halves_give_different_numbers()
    {
        PhiloxRandom random = new(1);
        float[] first = new float[64], second = new float[64], other = new float[64], shorter = new float[5];
        random.Fill(first);
        random.Fill(second);
        new PhiloxRandom(1L << 32).Fill(other);
        new PhiloxRandom(1).Fill(shorter);
        Assert.NotEqual(first, second);
        Assert.NotEqual(first, other);
        Assert.Equal(first[..5], shorter);
    }

    [Fact]
    public void Mean_and_variance_are_those_of_a_normal_distribution()
    {
        float[] values = new float[1 << 18];
        new PhiloxRandom(2).Fill(values);
        double mean = values.Average(), variance = values.Average(v => (v - mean) * (v - mean));
        Assert.InRange(mean, -0.008, 0.008);
        Assert.InRange(variance, 0.99, 1.01);
    }
}
