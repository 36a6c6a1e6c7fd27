using DiCacheNative.Caching;

namespace DiCacheNative.Tests.Caching;

/// <summary>The trace file: its text is a format that others read.</summary>
public sealed class CacheTraceTests
{
    private static readonly CacheTraceRow s_row = new()
    {
        Step = 2,
        Branch = 1,
        Sample = -1,
        Sigma = 0.5f,
        DeltaX = float.NaN,
        DeltaY = float.PositiveInfinity,
        Error = float.NegativeInfinity,
        Accumulated = 0.25f,
        Decision = StepDecision.Skip,
        GammaRaw = null,
        Gamma = 1.5f,
        Microseconds = 12.5,
    };

    [Fact]
    public void A_row_is_one_line_with_snake_case_names_and_non_finite_numbers_as_strings()
    {
        using StringWriter text = new();
        CacheTrace.Write(text, [s_row]);
        Assert.Equal(
            """{"step":2,"branch":1,"sample":-1,"sigma":0.5,"delta_x":"NaN","delta_y":"Infinity","error":"-Infinity","accumulated":0.25"""
            + ""","decision":"skip","gamma_raw":null,"gamma":1.5,"us":12.5}""" + "\n",
            text.ToString());
    }

    [Fact]
    public void What_was_written_is_read_back()
    {
        using TemporaryFolder folder = new();
        string path = folder.File("t.jsonl");
        using (StreamWriter writer = new(path))
        {
            CacheTrace.Write(writer, [s_row, s_row with { Step = 3, Decision = StepDecision.Full }, s_row with { Step = 4, Decision = StepDecision.Resume }]);
        }

        Assert.Equal([s_row, s_row with { Step = 3, Decision = StepDecision.Full }, s_row with { Step = 4, Decision = StepDecision.Resume }],
            CacheTrace.Read(path));
    }
}
