using DiCacheNative.Backends;

namespace DiCacheNative.Models;

/// <summary>How a <see cref="DiTSession"/> is laid out and what it keeps.</summary>
public sealed record SessionOptions
{
    /// <summary>Guidance branches: 1, or 2 with classifier-free guidance.</summary>
    public int Branches { get; init; } = 1;

    /// <summary>Samples of a batch.</summary>
    public int Samples { get; init; } = 1;

    /// <summary>Whether every decision is kept with its measurements; costs a synchronisation per call.</summary>
    public bool KeepTrace { get; init; }

    /// <summary>
    /// Whether the input change delta_x is measured even when the policy does not need it; costs two feature maps per branch and sample, of
    /// this call and of the one before.
    /// </summary>
    public bool MeasureInput { get; init; }

    /// <summary>How probe sums and blend are computed.</summary>
    public ProbeForm ProbeForm { get; init; } = ProbeForm.Epilogue;
}
