using DiCacheNative.Models;

namespace DiCacheNative.Tests.Models;

public sealed class LatentSizeTests
{
    [Theory]
    [InlineData(int.MaxValue - 2, 480, 832)]
    [InlineData(2000001, 720, 1280)]
    [InlineData(4097, 16384, 16384)]
    [InlineData(1, 2147483632, 2147483632)]
    public void A_video_of_more_latents_than_can_be_laid_out_is_refused_with_a_sentence(int frames, int height, int width) =>
        Assert.Contains("too large", Assert.Throws<ArgumentException>(() => LatentSize.OfVideo(frames, height, width)).Message, StringComparison.Ordinal);

    [Fact]
    public void More_positions_than_can_be_counted_are_no_overflow()
    {
        Assert.Throws<ArgumentException>(() => new LatentSize(int.MaxValue, int.MaxValue, int.MaxValue).Positions);
        Assert.Equal(2147450880, new LatentSize(1, 65535, 32768).Positions);
    }

    [Fact]
    public void A_large_but_possible_size_is_given() => Assert.Equal(new LatentSize(1025, 60, 104), LatentSize.OfVideo(4097, 480, 832));
}
