namespace DiCacheNative.Tests;

public sealed class FiniteTests
{
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_number_that_is_not_finite_is_found_wherever_it_stands(float value)
    {
        for (int length = 1; length < 70; length++)
        {
            float[] values = new float[length];
            Array.Fill(values, float.MaxValue);
            Assert.True(Finite.All(values));
            for (int at = 0; at < length; at++)
            {
                values[at] = value;
                Assert.False(Finite.All(values), $"{at} of {length}");
                values[at] = -float.Epsilon;
            }
        }

        Assert.True(Finite.All([]));
    }
}
