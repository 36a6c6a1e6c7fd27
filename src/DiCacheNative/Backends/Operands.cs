using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>What a linear layer does to its result before it is stored.</summary>
public enum Epilogue
{
    /// <summary>x W^T + b.</summary>
    None,

    /// <summary>GELU, tanh approximation: 0.5 v (1 + tanh(sqrt(2/pi) (v + 0.044715 v^3))).</summary>
    GeluTanh,

    /// <summary>SiLU: v / (1 + exp(-v)).</summary>
    Silu,

    /// <summary>GELU, exact: 0.5 v (1 + erf(v / sqrt 2)).</summary>
    GeluErf,
}

/// <summary>
/// Affine map after a LayerNorm: n * (<see cref="ScaleOffset"/> + scale) + shift. With offset 1 it is the AdaLN modulation of a DiT, with
/// offset 0 a LayerNorm with weight and bias.
/// </summary>
/// <param name="Shift">F32 [B or 1, 1, D]; empty for none.</param>
/// <param name="Scale">F32 [B or 1, 1, D]; empty for a plain LayerNorm.</param>
/// <param name="ScaleOffset">1 for AdaLN, 0 for an affine LayerNorm.</param>
public readonly record struct Modulation(Tensor Shift, Tensor Scale, float ScaleOffset = 1f);

/// <summary>A LayerNorm of the result of a residual addition, computed in the same pass.</summary>
/// <param name="Modulation">Affine map after the norm.</param>
/// <param name="Output">Where the normalised rows go, [B, L, D]; empty for "no norm follows".</param>
/// <param name="Epsilon">Added to the variance.</param>
public readonly record struct NextNorm(Modulation Modulation, Tensor Output, float Epsilon = 1e-6f);

/// <summary>Cosines and sines of a rotary embedding for interleaved pairs: (a, b) becomes (a cos - b sin, b cos + a sin).</summary>
/// <param name="Cos">F32 [B or 1, L, Dh / 2]; empty for no rotation. Rows beyond L are left as they are.</param>
/// <param name="Sin">Same shape.</param>
public readonly record struct RopeTable(Tensor Cos, Tensor Sin)
{
    /// <summary>The table of a run of tokens.</summary>
    public RopeTable Slice(int start, int count) => new(Cos.SliceRows(start, count), Sin.SliceRows(start, count));
}

/// <summary>RMS norm scales of queries and keys. A scale as wide as one head is applied per head, one as wide as the row over the whole row.</summary>
/// <param name="Query">F32 [1, 1, Dh] or [1, 1, H * Dh].</param>
/// <param name="Key">Same width; empty when only queries are given.</param>
/// <param name="Epsilon">Added to the mean square.</param>
public readonly record struct QkNorm(Tensor Query, Tensor Key, float Epsilon = 1e-6f);

/// <summary>How the sums of the DiCache probe are computed. All forms give the same numbers.</summary>
public enum ProbeForm
{
    /// <summary>Operation by operation, as a tensor framework does it: clone, subtract, absolute value, mean.</summary>
    Unfused,

    /// <summary>One pass over the inputs for all sums.</summary>
    Fused,

    /// <summary>The sums ride on the last residual addition of the probe, the blend on the norm of the head.</summary>
    Epilogue,
}

/// <summary>Inputs of the DiCache probe (arXiv:2508.17356, "when to cache"). All [B, L, D], same shape and type; the optional ones may be empty.</summary>
/// <param name="Probe">p: probe output of this step.</param>
/// <param name="PreviousProbe">p': probe output of the previous step. Empty: no delta_y.</param>
/// <param name="Input">x: embedded image tokens of this step. Needed for delta_x and gamma.</param>
/// <param name="PreviousInput">x': of the previous step. Empty: no delta_x.</param>
/// <param name="OlderProbeResidual">r2: probe output minus input, at the computed step before the last. Empty: no gamma.</param>
/// <param name="NewerProbeResidual">r1: the same at the last computed step. Empty: no denominator of gamma, which is the same until the next computed
/// step.</param>
public readonly record struct ProbeInputs(
    Tensor Probe, Tensor PreviousProbe, Tensor Input = default, Tensor PreviousInput = default, Tensor OlderProbeResidual = default,
    Tensor NewerProbeResidual = default);

/// <summary>The six sums of a probe, in this order in a tensor F32 [1, 1, 6]. A sum whose inputs are empty is 0.</summary>
/// <param name="ProbeChange">sum |p - p'|.</param>
/// <param name="ProbePrevious">sum |p'|.</param>
/// <param name="InputChange">sum |x - x'|.</param>
/// <param name="InputPrevious">sum |x'|.</param>
/// <param name="GammaNumerator">sum |(p - x) - r2|.</param>
/// <param name="GammaDenominator">sum |r1 - r2|.</param>
public readonly record struct ProbeSums(
    float ProbeChange, float ProbePrevious, float InputChange, float InputPrevious, float GammaNumerator, float GammaDenominator)
{
    /// <summary>Number of sums.</summary>
    public const int Count = 6;

    /// <summary>Reads the sums from what <see cref="IBackend.Download(in Tensor, Span{float})"/> gave.</summary>
    public static ProbeSums From(ReadOnlySpan<float> values) => new(values[0], values[1], values[2], values[3], values[4], values[5]);
}

/// <summary>Inputs of trajectory alignment ("how to use the cache"): into = x + R2 + gamma (R1 - R2), or x + R1 when there is no R2.</summary>
/// <param name="Input">x: embedded image tokens of this step, [B, L, D].</param>
/// <param name="NewerResidual">R1: body output minus input at the last computed step.</param>
/// <param name="OlderResidual">R2: at the one before; empty for plain reuse.</param>
/// <param name="Gamma">F32 [1, 1, 1] in backend memory; unused for plain reuse.</param>
public readonly record struct BlendInputs(Tensor Input, Tensor NewerResidual, Tensor OlderResidual = default, Tensor Gamma = default);

/// <summary>What a residual addition does beside it, in the same pass over the rows. Each part may be left out.</summary>
/// <param name="Norm">LayerNorm of the result.</param>
/// <param name="Probe">Sums of the DiCache probe, the result being p (leave <see cref="ProbeInputs.Probe"/> empty: it is the result itself).</param>
/// <param name="ProbeSums">F32 [1, 1, 6] for them; empty for no probe.</param>
/// <param name="ResidualOrigin">x0: the result minus x0 is stored as the residual of the step.</param>
/// <param name="Residual">[B, L, D] for it; empty for none.</param>
public readonly record struct ResidualExtras(
    NextNorm Norm = default, ProbeInputs Probe = default, Tensor ProbeSums = default, Tensor ResidualOrigin = default, Tensor Residual = default);

/// <summary>How latents [C, F, H, W] are cut into tokens: token (f, y, x) holds the patch pt x ph x pw of all channels.</summary>
/// <param name="Channels">C.</param>
/// <param name="Frames">F; 1 for images.</param>
/// <param name="Height">H.</param>
/// <param name="Width">W.</param>
/// <param name="PatchFrames">pt.</param>
/// <param name="PatchHeight">ph.</param>
/// <param name="PatchWidth">pw.</param>
/// <param name="ChannelsFirst">Order inside a token: (c, pt, ph, pw) when true, as a patch embedding sees it, FLUX packs and HunyuanVideo emits it; (pt, ph,
/// pw, c) when false, as WAN emits it.</param>
public readonly record struct PatchGeometry(
    int Channels, int Frames, int Height, int Width, int PatchFrames, int PatchHeight, int PatchWidth, bool ChannelsFirst)
{
    /// <summary>Number of tokens.</summary>
    public int Tokens => Frames / PatchFrames * (Height / PatchHeight) * (Width / PatchWidth);

    /// <summary>Elements per token.</summary>
    public int TokenWidth => Channels * PatchFrames * PatchHeight * PatchWidth;
}
