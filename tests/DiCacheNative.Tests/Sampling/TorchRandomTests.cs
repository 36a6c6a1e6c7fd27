using DiCacheNative.Sampling;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Sampling;

public sealed class TorchRandomTests
{
    [Theory]
    [InlineData(0, 101)]
    [InlineData(1, 102)]
    [InlineData(2, 103)]
    public void Start_noise_equals_that_of_torch_bit_for_bit(int file, ulong seed)
    {
        using SafetensorsFile golden = SafetensorsFile.Open(Repository.File("tests", "golden", "shapes-flux", $"{file}.safetensors"));
        Assert.Equal(Bits(golden.Get("noise_latent").ToArray()), Bits(Randn(seed, 4096)));
    }

    // What torch.randn prints, to four digits.
    [Theory]
    [InlineData(0, new[] { 1.5410f, -0.2934f, -2.1788f })]
    [InlineData(0, new[] { 1.5410f, -0.2934f, -2.1788f, 0.5684f, -1.0845f, -1.3986f })]
    [InlineData(42, new[] { 0.3367f, 0.1288f, 0.2345f, 0.2303f, -1.1229f, -0.1863f })]
    [InlineData(42, new[]
    {
        1.9269f, 1.4873f, 0.9007f, -2.1055f, -0.7581f, 1.0783f, 0.8008f, 1.6806f, 0.3559f, -0.6866f,
        -0.4934f, 0.2415f, -0.2316f, 0.0418f, -0.2516f, 0.8599f, -0.3097f, -0.3957f, 0.8034f, -0.6216f,
    })]
    [InlineData(0, new[]
    {
        -1.1258f, -1.1524f, -0.2506f, -0.4339f, 0.5988f, -1.5551f, -0.3414f, 1.8530f, 0.4681f, -0.1577f,
        1.4437f, 0.2660f, 1.3894f, 1.5863f, 0.9463f, -0.8437f, 0.9318f, 1.2590f, 2.0050f, 0.0537f,
    })]
    public void Few_numbers_and_counts_that_are_no_multiple_of_16_agree_with_torch(ulong seed, float[] printed)
    {
        float[] got = Randn(seed, printed.Length);
        for (int i = 0; i < printed.Length; i++)
        {
            Assert.Equal(printed[i], got[i], 0.00006f);
        }
    }

    [Fact]
    public void Calls_go_on_where_the_last_one_stopped()
    {
        TorchRandom random = new(7);
        float[] odd = new float[3], rest = new float[5], all = Randn(7, 8);
        random.Fill(odd);
        random.Fill(rest);
        Assert.Equal(all, odd.Concat(rest));

        random = new TorchRandom(7);
        float[] first = new float[32], second = new float[16];
        random.Fill(first);
        random.Fill(second);
        Assert.Equal(Randn(7, 48), first.Concat(second));
    }

    [Fact]
    public void Only_the_low_half_of_the_seed_counts_and_the_largest_seed_works()
    {
        Assert.Equal(Randn(5, 16), Randn(5 + (3UL << 32), 16));
        Assert.Equal(Randn(uint.MaxValue, 16), Randn(ulong.MaxValue, 16));
        Assert.NotEqual(Randn(5, 16), Randn(6, 16));
    }

    [Fact]
    public void The_bits_are_those_of_the_published_generator()
    {
        // The C++ standard fixes the 10000th number of mt19937 with the default seed.
        MersenneTwister twister = new(5489);
        for (int i = 1; i < 10000; i++)
        {
            twister.NextUInt32();
        }

        Assert.Equal(4123659995u, twister.NextUInt32());
    }

    [Fact]
    public void Mean_and_variance_are_those_of_a_normal_distribution()
    {
        float[] values = Randn(1, 1 << 18);
        double mean = values.Average(), variance = values.Average(v => (v - mean) * (v - mean));
        Assert.InRange(mean, -0.008, 0.008);
        Assert.InRange(variance, 0.99, 1.01);
        Assert.All(values, v => Assert.True(float.IsFinite(v)));
    }

    private static float[] Randn(ulong seed, int count)
    {
        float[] values = new float[count];
        INoiseSource.Create(RngKind.Torch, seed).Fill(values);
        return values;
    }

    private static int[] Bits(float[] values) => [.. values.Select(BitConverter.SingleToInt32Bits)];
}
