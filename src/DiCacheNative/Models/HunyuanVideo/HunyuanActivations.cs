using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>
/// All activations of a HunyuanVideo program, taken from an arena (or measured on one without memory). Only the residual streams and
/// q, k, v span all tokens: everything else of a block lives for one run of rows. R = rows of a run, T = image tokens, L = text tokens,
/// N = steps * slots * B.
/// </summary>
internal sealed class HunyuanActivations
{
    public HunyuanActivations(Arena arena, HunyuanConfig config, HunyuanShape shape, DType type)
    {
        int batch = shape.Batch, image = shape.ImageTokens, text = shape.TextTokens, d = config.Width, slots = shape.Slots * batch, n = shape.MaxSteps * slots;
        int rows = Math.Max(RowChunks.Rows(image, shape.MaxRows), text), latent = config.Channels * shape.Latent.Positions,
            patch = config.Channels * HunyuanConfig.Patch.Positions;
        Input = arena.Allocate(DType.F32, batch, 1, latent);
        Velocity = arena.Allocate(DType.F32, batch, 1, latent);
        Patches = arena.Allocate(type, batch, image, patch);
        Predicted = arena.Allocate(DType.F32, batch, image, patch);
        Joint = arena.Allocate(type, batch, image + text, d);
        Qkv = arena.Allocate(type, batch, image + text, 3 * d);
        Norm = arena.Allocate(type, batch, rows, d);
        AttentionAndMlp = arena.Allocate(type, batch, rows, d + config.MlpWidth);
        Branch = arena.Allocate(type, batch, rows, d);
        Rope = new RopeTable(arena.Allocate(DType.F32, 1, image, config.HeadDim / 2), arena.Allocate(DType.F32, 1, image, config.HeadDim / 2));

        TextStates = arena.Allocate(type, batch, text, config.TextDim);
        TextEmbedded = arena.Allocate(type, slots, text, d);
        TextMeans = arena.Allocate(type, batch, 1, config.TextDim);
        TextHidden = arena.Allocate(type, 1, batch, d);
        TextContexts = arena.Allocate(DType.F32, 1, slots, d);

        Values = arena.Allocate(DType.F32, n, 1, 1);
        Sinusoid = arena.Allocate(type, 1, n, HunyuanProgram.SinusoidWidth);
        Pooled = arena.Allocate(type, 1, n, config.PooledDim);
        Hidden = arena.Allocate(type, 1, n, d);
        Part = arena.Allocate(DType.F32, 1, n, d);
        Vector = arena.Allocate(DType.F32, 1, n, d);
        Modulations = arena.Allocate(DType.F32, 1, n, config.ModulationWidth);
        Modulation = arena.Allocate(DType.F32, batch, 1, config.ModulationWidth);
    }

    /// <summary>Latents, F32 [B, 1, C F H W].</summary>
    public Tensor Input { get; }

    public Tensor Velocity { get; }

    /// <summary>[B, T, 4 C].</summary>
    public Tensor Patches { get; }

    /// <summary>F32 [B, T, 4 C]: the head's result before it is put together to latents.</summary>
    public Tensor Predicted { get; }

    /// <summary>Residual streams, image first: [B, T + L, D].</summary>
    public Tensor Joint { get; }

    /// <summary>[B, T + L, 3 D].</summary>
    public Tensor Qkv { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor Norm { get; }

    /// <summary>[B, R, D + F].</summary>
    public Tensor AttentionAndMlp { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor Branch { get; }

    public RopeTable Rope { get; }

    /// <summary>[B, L, text width].</summary>
    public Tensor TextStates { get; }

    /// <summary>Text as the refiner starts with it, [slots B, L, D].</summary>
    public Tensor TextEmbedded { get; }

    /// <summary>Mean over the valid text tokens, [B, 1, text width].</summary>
    public Tensor TextMeans { get; }

    /// <summary>[1, B, D].</summary>
    public Tensor TextHidden { get; }

    /// <summary>Embedded means, F32 [1, slots B, D].</summary>
    public Tensor TextContexts { get; }

    /// <summary>F32 [N, 1, 1].</summary>
    public Tensor Values { get; }

    /// <summary>[1, N, 256].</summary>
    public Tensor Sinusoid { get; }

    /// <summary>[1, N, pooled width].</summary>
    public Tensor Pooled { get; }

    /// <summary>[1, N, D].</summary>
    public Tensor Hidden { get; }

    /// <summary>F32 [1, N, D].</summary>
    public Tensor Part { get; }

    /// <summary>F32 [1, N, D].</summary>
    public Tensor Vector { get; }

    /// <summary>F32 [1, N, modulation width].</summary>
    public Tensor Modulations { get; }

    /// <summary>Modulations of the current step and slot, F32 [B, 1, modulation width].</summary>
    public Tensor Modulation { get; }
}
