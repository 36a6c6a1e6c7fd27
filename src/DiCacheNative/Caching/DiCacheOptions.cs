namespace DiCacheNative.Caching;

/// <summary>Which change of the probe is accumulated.</summary>
public enum ProbeError
{
    /// <summary>Relative L1 change of the probe output, sum |p - p'| / sum |p'|.</summary>
    DeltaY,

    /// <summary>|delta_y - delta_x|: how much more the probe output changed than its input did.</summary>
    DeltaMinus,
}

/// <summary>How the output of a skipped step is approximated.</summary>
public enum CacheReuse
{
    /// <summary>x + R1: the residual of the last computed step.</summary>
    ReuseResidual,

    /// <summary>x + R2 + gamma (R1 - R2): trajectory alignment of DiCache.</summary>
    TrajectoryAlignment,
}

/// <summary>Over which samples of a batch one decision is taken.</summary>
public enum DecisionScope
{
    /// <summary>Every sample decides for itself.</summary>
    Sample,

    /// <summary>One mean over the whole batch, as the published scripts do.</summary>
    Batch,
}

/// <summary>When computing is mandatory at the start of a generation.</summary>
public enum WarmUpRule
{
    /// <summary>Steps with index below int(ratio * steps) are computed.</summary>
    BelowRatio,

    /// <summary>Steps with index up to and including int(ratio * steps) are computed (published FLUX script).</summary>
    UpToRatio,

    /// <summary>Model calls, counted over both guidance branches, below int(ratio * calls) are computed (published WAN script).</summary>
    CallsBelowRatio,
}

/// <summary>
/// Settings of DiCache (arXiv:2508.17356): when to cache, and how to use the cache. Metric, threshold and rules belong together; start from
/// a profile and change what you must with <c>with</c>.
/// </summary>
public sealed record DiCacheOptions
{
    // Published with delta_minus: a number of the other metric would skip far too much.
    private const float DeltaMinusThreshold = 0.08f;

    private readonly float? _threshold;
    private readonly double? _retRatio;

    /// <summary>Our profile: each sample decides for itself, at least two computed steps first, the last step computed, probe always fresh.</summary>
    public static DiCacheOptions Default { get; } = new();

    /// <summary>The rules of the published FLUX script (threshold 0.4 with delta_y; pair 0.08 and ratio 0 with delta_minus), bit for bit in
    /// decisions.</summary>
    public static DiCacheOptions Flux { get; } = new()
    {
        Profile = "flux",
        OwnThreshold = 0.4f,
        DeltaMinusRetRatio = 0,
        WarmUp = WarmUpRule.UpToRatio,
        MinimumComputed = 1,
        ComputeUndefinedGamma = false,
        Scope = DecisionScope.Batch,
        KeepStaleProbe = true,
    };

    /// <summary>The rules of the published WAN 2.1 script.</summary>
    public static DiCacheOptions Wan { get; } = new()
    {
        Profile = "wan",
        OwnThreshold = 0.08f,
        GammaMax = 2f,
        WarmUp = WarmUpRule.CallsBelowRatio,
        LastStepFull = false,
        MinimumComputed = 1,
        ComputeUndefinedGamma = false,
        Scope = DecisionScope.Batch,
        KeepStaleProbe = true,
    };

    /// <summary>The rules of the published HunyuanVideo script.</summary>
    public static DiCacheOptions Hunyuan { get; } = new()
    {
        Profile = "hunyuan",
        OwnThreshold = 0.1f,
        SkipWhenEqual = true,
        LastStepFull = false,
        MinimumComputed = 1,
        ComputeUndefinedGamma = false,
        Scope = DecisionScope.Batch,
        KeepStaleProbe = true,
    };

    /// <summary>Name of the profile this started from: default, flux, wan or hunyuan.</summary>
    public string Profile { get; init; } = "default";

    /// <summary>
    /// A step is skipped while the accumulated error stays below this, >= 0, dimensionless. Unless it is set, it is the profile's with
    /// delta_y (0.2, flux 0.4, wan 0.08, hunyuan 0.1), and 0.08 with delta_minus.
    /// </summary>
    public float Threshold
    {
        get => _threshold ?? (Error == ProbeError.DeltaMinus ? DeltaMinusThreshold : OwnThreshold);
        init => _threshold = value;
    }

    /// <summary>Number of blocks the probe runs, at least 1. Paper: 1 to 5.</summary>
    public int ProbeDepth { get; init; } = 1;

    /// <summary>
    /// Part of the generation that is always computed at its start, 0 to 1; 1 and more compute all of it, which is told. Multiplied in double
    /// precision and truncated. Unless it is set, it is 0.2, and 0 with delta_minus in the profile flux.
    /// </summary>
    public double RetRatio
    {
        get => _retRatio ?? (Error == ProbeError.DeltaMinus ? DeltaMinusRetRatio : 0.2);
        init => _retRatio = value;
    }

    /// <summary>How the ratio is applied.</summary>
    public WarmUpRule WarmUp { get; init; } = WarmUpRule.BelowRatio;

    /// <summary>Steps that must have been computed before one may be skipped, at least 1; 2 are what alignment needs.</summary>
    public int MinimumComputed { get; init; } = 2;

    /// <summary>Whether the last step is always computed.</summary>
    public bool LastStepFull { get; init; } = true;

    /// <summary>The accumulated quantity.</summary>
    public ProbeError Error { get; init; } = ProbeError.DeltaY;

    /// <summary>Whether an accumulated error equal to the threshold still skips.</summary>
    public bool SkipWhenEqual { get; init; }

    /// <summary>How a skipped output is approximated.</summary>
    public CacheReuse Reuse { get; init; } = CacheReuse.TrajectoryAlignment;

    /// <summary>Lower bound of gamma.</summary>
    public float GammaMin { get; init; } = 1f;

    /// <summary>Upper bound of gamma.</summary>
    public float GammaMax { get; init; } = 1.5f;

    /// <summary>Whether a step whose gamma is 0/0 is computed. The published scripts skip it, and its output becomes NaN.</summary>
    public bool ComputeUndefinedGamma { get; init; } = true;

    /// <summary>Over which samples one decision is taken.</summary>
    public DecisionScope Scope { get; init; } = DecisionScope.Sample;

    /// <summary>
    /// Reproduces a defect of the published scripts: after a resumed step the stored probe is not replaced when twice the probe depth exceeds
    /// the number of blocks a probe may run.
    /// </summary>
    public bool KeepStaleProbe { get; init; }

    private float OwnThreshold { get; init; } = 0.2f;

    private double DeltaMinusRetRatio { get; init; } = 0.2;

    /// <summary>Checks the ranges.</summary>
    /// <exception cref="ArgumentException">A value lies outside its range, or the metric does not go with the profile.</exception>
    public void Validate()
    {
        Require(float.IsFinite(Threshold) && Threshold >= 0, "threshold", "a number >= 0");
        Require(ProbeDepth >= 1, "probe depth", "at least 1");
        Require(double.IsFinite(RetRatio) && RetRatio >= 0, "ratio of steps that are always computed", "a number >= 0");
        Require(MinimumComputed >= 1, "number of steps that are computed first", "at least 1");
        Require(GammaMin <= GammaMax && float.IsFinite(GammaMin) && float.IsFinite(GammaMax), "bounds of gamma", "finite and in order");
        Require(Error == ProbeError.DeltaY || Profile is "flux" or "default", "error", $"delta_y with profile {Profile}, which knows no other");
    }

    private static void Require(bool condition, string setting, string range)
    {
        if (!condition)
        {
            throw new ArgumentException($"the {setting} of the cache must be {range}");
        }
    }
}
