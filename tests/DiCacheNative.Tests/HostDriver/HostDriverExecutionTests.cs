namespace DiCacheNative.Tests.HostDriver;

/// <summary>Kernels without faults give what plain arithmetic gives, in every order of threads, and no finding.</summary>
[Collection("host driver")]
public sealed class HostDriverExecutionTests
{
    public static TheoryData<string, long> Flavours => new()
    {
        { HostDriverLibrary.Normal, 0 },
        { HostDriverLibrary.Normal, 1 },
        { HostDriverLibrary.Normal, 77 },
        { HostDriverLibrary.Race, 0 },
        { HostDriverLibrary.Race, 5 },
    };

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Every_thread_of_every_block_knows_its_coordinates(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        (int X, int Y, int Z) grid = (3, 2, 2), block = (5, 7, 2);
        int count = 12 * 70;
        nint numbers = s.Allocate(count * sizeof(uint));

        s.Check(s.Launch("clean_indices", grid, block, 0, s.Stream, numbers));

        Assert.Equal(Enumerable.Range(0, count).Select(i => (uint)i), s.Download<uint>(numbers, count));
        AssertClean(s, numbers);
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void A_reduction_through_shuffles_and_shared_memory_gives_the_sum(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        Random random = new(3);
        float[] a = Values(random, 5000), b = Values(random, 5000);
        nint left = s.Upload<float>(a), right = s.Upload<float>(b), partials = s.Allocate(5 * sizeof(float));

        s.Check(s.Launch("clean_reduction", (5, 1, 1), (256, 1, 1), 8 * sizeof(float), s.Stream, left, right, partials, a.Length));

        double expected = a.Zip(b, (x, y) => Math.Abs((double)x - y)).Sum();
        Assert.Equal(expected, s.Download<float>(partials, 5).Sum(x => (double)x), expected * 1e-6);
        AssertClean(s, left, right, partials);
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Shuffles_votes_and_atomics_follow_their_definitions(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        nint values = s.Allocate(3 * 6 * 32 * sizeof(int)), counter = s.Upload<uint>([1]);

        s.Check(s.Launch("clean_warp", 3, 32, values, counter));

        int[] all = s.Download<int>(values, 3 * 6 * 32);
        for (int i = 0; i < 3 * 32; i++)
        {
            int lane = i % 32, segment = lane / 8 * 8;
            ReadOnlySpan<int> v = all.AsSpan(i / 32 * 6 * 32);
            Assert.Equal((lane + 5) % 32, v[lane]);
            Assert.Equal(lane - 3 < segment ? lane : lane - 3, v[32 + lane]);
            Assert.Equal(lane + 3 > segment + 7 ? lane : lane + 3, v[64 + lane]);
            Assert.Equal(lane ^ 9, v[96 + lane]);
            Assert.Equal(0x49249249, v[128 + lane]);
            Assert.Equal(710, v[160 + lane]);
        }

        Assert.Equal(1u + (2 * 3 * 32), s.Download<uint>(counter, 1)[0]);
        AssertClean(s, values, counter);
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void A_product_through_cp_async_ldmatrix_and_mma_is_exact_to_rounding(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        const int m = 64, n = 128, k = 96;
        Random random = new(11);
        ushort[] a = BFloats(random, m * k), b = BFloats(random, n * k);
        nint left = s.Upload<ushort>(a), right = s.Upload<ushort>(b), product = s.Allocate(m * n * sizeof(float));

        s.Check(s.Launch("clean_gemm", (n / 64, m / 64, 1), (128, 1, 1), 0, s.Stream, left, right, product, n, k));

        float[] c = s.Download<float>(product, m * n);
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0;
                for (int d = 0; d < k; d++)
                {
                    sum += (double)Widen(a[(i * k) + d]) * Widen(b[(j * k) + d]);
                }

                Assert.Equal(sum, c[(i * n) + j], 1e-4);
            }
        }

        AssertClean(s, left, right, product);
    }

    [Theory]
    [MemberData(nameof(Flavours))]
    public void Tf32_products_and_transposed_fragments_have_the_layout_of_the_hardware(string library, long seed)
    {
        HostDriverSession s = new(library, seed);
        // Small integers are exact in tf32.
        float[] a = [.. Enumerable.Range(0, 128).Select(i => (float)((i * 7 % 23) - 11))];
        float[] b = [.. Enumerable.Range(0, 64).Select(i => (float)((i * 5 % 17) - 8))];
        ushort[] tiles = [.. Enumerable.Range(0, 256).Select(i => (ushort)i)];
        nint left = s.Upload<float>(a), right = s.Upload<float>(b), product = s.Allocate(128 * 4);
        nint from = s.Upload<ushort>(tiles), to = s.Allocate(256 * 2);

        s.Check(s.Launch("clean_fragments", 1, 32, left, right, product, from, to));

        float[] d = s.Download<float>(product, 128);
        ushort[] transposed = s.Download<ushort>(to, 256);
        for (int i = 0; i < 16; i++)
        {
            for (int j = 0; j < 8; j++)
            {
                Assert.Equal(Enumerable.Range(0, 8).Sum(x => a[(i * 8) + x] * b[(x * 8) + j]), d[(i * 8) + j]);
            }
        }

        Assert.All(Enumerable.Range(0, 256), i => Assert.Equal(tiles[(i & ~63) + (i % 8 * 8) + (i / 8 % 8)], transposed[i]));
        AssertClean(s, left, right, product, from, to);
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_whatever_the_number_of_threads()
    {
        HostDriverSession s = new(HostDriverLibrary.Normal);
        Random random = new(4);
        nint left = s.Upload<float>(Values(random, 3000)), right = s.Upload<float>(Values(random, 3000));
        nint partials = s.Allocate(7 * sizeof(float));
        List<uint[]> results = [];
        foreach (int threads in new[] { 1, 2, 3 })
        {
            s.Library.Option("threads", threads);
            s.Check(s.Launch("clean_reduction", (7, 1, 1), (128, 1, 1), 8 * sizeof(float), s.Stream, left, right, partials, 3000));
            results.Add(s.Download<uint>(partials, 7));
        }

        Assert.Equal(results[0], results[1]);
        Assert.Equal(results[0], results[2]);
        AssertClean(s, left, right, partials);
    }

    private static void AssertClean(HostDriverSession s, params ReadOnlySpan<nint> memory)
    {
        foreach (nint m in memory)
        {
            s.Check(s.Free(m));
        }

        string live = s.Stop();
        Assert.Equal("", s.Findings);
        Assert.Equal("", live);
    }

    private static float[] Values(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];

    private static ushort[] BFloats(Random random, int count) =>
        [.. Values(random, count).Select(v => (ushort)(BitConverter.SingleToUInt32Bits(v) >> 16))];

    private static float Widen(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);
}
