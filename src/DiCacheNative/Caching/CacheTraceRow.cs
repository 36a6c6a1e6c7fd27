using System.Text.Json.Serialization;

namespace DiCacheNative.Caching;

/// <summary>One decision. Values that do not apply are null; values that are not finite are kept.</summary>
public sealed record CacheTraceRow
{
    /// <summary>Index of the sampling step, from 0.</summary>
    public required int Step { get; init; }

    /// <summary>Guidance branch: 0 conditional, 1 unconditional.</summary>
    public required int Branch { get; init; }

    /// <summary>Sample of the batch; -1 when the decision held for the whole batch.</summary>
    public required int Sample { get; init; }

    /// <summary>Noise level.</summary>
    public required float Sigma { get; init; }

    /// <summary>Relative L1 change of the embedded input.</summary>
    public float? DeltaX { get; init; }

    /// <summary>Relative L1 change of the probe output.</summary>
    public float? DeltaY { get; init; }

    /// <summary>What was added to the accumulator.</summary>
    public float? Error { get; init; }

    /// <summary>Accumulator with this step's error, before a computed step resets it.</summary>
    public float? Accumulated { get; init; }

    /// <summary>What was done.</summary>
    public required StepDecision Decision { get; init; }

    /// <summary>gamma before clipping.</summary>
    public float? GammaRaw { get; init; }

    /// <summary>gamma used; null when the last residual was reused.</summary>
    public float? Gamma { get; init; }

    /// <summary>
    /// Wall-clock time of the call, microseconds, from its plan to its end on the device. The first call of each kind also compiles code and
    /// records plans, and other work of the machine counts: good for finding a slow call, not for measuring speed, which the bench commands do.
    /// </summary>
    [JsonPropertyName("us")]
    public required double Microseconds { get; init; }
}
