using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>What to generate.</summary>
public sealed record GenerationRequest
{
    /// <summary>What the image or video shows.</summary>
    public required string Prompt { get; init; }

    /// <summary>What it does not show; null for the model's own (often empty). Without guidance (<see cref="CfgScale"/> 1) it has no effect, which the notes
    /// tell.</summary>
    public string? NegativePrompt { get; init; }

    /// <summary>Width in pixels, a multiple of 16; 0 for the model's own.</summary>
    public int Width { get; init; }

    /// <summary>Height in pixels, a multiple of 16; 0 for the model's own.</summary>
    public int Height { get; init; }

    /// <summary>Frames of a video, 4 n + 1; 0 for the model's own. Image models take 0 or 1.</summary>
    public int VideoFrames { get; init; }

    /// <summary>Sampling steps, at least 1; null for the model's own, 30 for FLUX.</summary>
    public int? Steps { get; init; }

    /// <summary>The solver; null for the model's own.</summary>
    public SamplingMethod? SamplingMethod { get; init; }

    /// <summary>
    /// Seed of the noise, any 64-bit number; null for a random one, which the result tells. Image i of a batch gets seed + i modulo 2^64. PyTorch's CPU
    /// generator (<see cref="RngKind.Torch"/>) takes the low 32 bits of a seed, as PyTorch does.
    /// </summary>
    public ulong? Seed { get; init; } = 42;

    /// <summary>Where the noise comes from.</summary>
    public RngKind Rng { get; init; } = RngKind.Torch;

    /// <summary>Number of images; 1 for a video.</summary>
    public int BatchCount { get; init; } = 1;

    /// <summary>Scale of classifier-free guidance; 1 for none, null for the model's own. Other values than 1 run the model twice per step.</summary>
    public float? CfgScale { get; init; }

    /// <summary>
    /// Distilled guidance (FLUX.1-dev); null for the model's own, 3.5. Models without guidance embedding have none: a value has no effect there, which
    /// <see cref="GenerationResult.Notes"/> tells.
    /// </summary>
    public float? Guidance { get; init; }

    /// <summary>Shift of the noise levels; null for the model's own.</summary>
    public float? FlowShift { get; init; }

    /// <summary>The cache.</summary>
    public ICachePolicy Cache { get; init; } = NoCachePolicy.Instance;

    /// <summary>How probe sums and blend are computed; all forms give the same numbers.</summary>
    public ProbeForm ProbeForm { get; init; } = ProbeForm.Epilogue;

    /// <summary>Whether every decision is kept in <see cref="GenerationResult.Trace"/>.</summary>
    public bool KeepTrace { get; init; }

    /// <summary>Called after every step on the generating thread, with buffers that are only valid during the call.</summary>
    public Action<StepSnapshot>? OnStep { get; init; }
}
