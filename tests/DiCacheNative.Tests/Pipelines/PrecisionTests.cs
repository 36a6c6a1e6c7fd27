using DiCacheNative.Caching;

namespace DiCacheNative.Tests.Pipelines;

/// <summary>What bf16 products on the CPU change of a picture: something, and little.</summary>
public class PrecisionTests
{
    [Fact]
    public async Task Bf16_changes_no_decision_and_no_picture_that_an_eye_could_tell()
    {
        GenerationResult exact = await Generate(BackendPrecision.F32), rounded = await Generate(BackendPrecision.BF16);
        Assert.Equal(Decisions(exact), Decisions(rounded));
        Assert.Contains(StepDecision.Skip, Decisions(exact));
        double square = exact.Planes.Values.Zip(rounded.Planes.Values, (a, b) => Math.Pow(a - b, 2)).Average();

        // Values lie in -1 to 1. None at all would mean that the setting has no effect.
        Assert.InRange(10 * Math.Log10(4 / square), 40, 100);
    }

    private static StepDecision[] Decisions(GenerationResult result) => [.. result.Trace.Select(r => r.Decision)];

    private static async Task<GenerationResult> Generate(BackendPrecision precision)
    {
        using Engine engine = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu, Precision = precision });
        return await engine.GenerateAsync(new GenerationRequest
        {
            Prompt = "a green star",
            Seed = 2,
            Steps = 15,
            Width = 64,
            Height = 64,
            Cache = CacheOptions.DiCache(),
            KeepTrace = true,
        });
    }
}
