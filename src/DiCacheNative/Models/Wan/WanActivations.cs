using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Wan;

/// <summary>
/// All activations of a WAN program, taken from an arena (or measured on one without memory). Only the residual stream and q, k, v span all
/// tokens: everything else of a block lives for one run of rows. R = rows of a run, T = tokens, L = text tokens.
/// </summary>
internal sealed class WanActivations
{
    public WanActivations(Arena arena, WanConfig config, WanShape shape, DType type)
    {
        int batch = shape.Batch, tokens = shape.Tokens, rows = RowChunks.Rows(tokens, shape.MaxRows), d = config.Width, steps = shape.MaxSteps,
            slots = shape.Slots * batch;
        int text = shape.TextTokens ?? config.TextTokens, image = shape.ImageTokens, latent = shape.Latents.Max(l => l.Positions),
            patch = WanConfig.Patch.Positions;
        Input = arena.Allocate(DType.F32, batch, 1, config.OutChannels * latent);
        Velocity = arena.Allocate(DType.F32, batch, 1, config.OutChannels * latent);
        Patches = arena.Allocate(type, batch, tokens, config.InChannels * patch);
        Predicted = arena.Allocate(DType.F32, batch, tokens, config.OutChannels * patch);
        X = arena.Allocate(WanProgram.ResidualType, batch, tokens, d);
        Qkv = arena.Allocate(type, batch, tokens, 3 * d);
        Norm = arena.Allocate(type, batch, rows, d);
        Attention = arena.Allocate(type, batch, rows, d);
        Branch = arena.Allocate(type, batch, rows, d);
        Mlp = arena.Allocate(type, batch, rows, config.MlpWidth);
        Rope = new RopeTable(Table(), Table());
        Zero = arena.Allocate(DType.F32, 1, 1, d);

        TextStates = arena.Allocate(type, batch, text, config.TextDim);
        TextHidden = arena.Allocate(type, batch, text, d);
        Context = arena.Allocate(type, batch, text, d);
        TextKeyValue = new Tensor[config.Layers];
        for (int i = 0; i < config.Layers; i++)
        {
            TextKeyValue[i] = arena.Allocate(type, slots, text, 2 * d);
        }

        Timesteps = arena.Allocate(DType.F32, steps, 1, 1);
        Sinusoid = arena.Allocate(type, 1, steps, config.FrequencyWidth);
        TimeHidden = arena.Allocate(type, 1, steps, d);
        Time = arena.Allocate(DType.F32, 1, steps, d);
        TimeProjection = arena.Allocate(DType.F32, 1, steps, 6 * d);
        Modulation = arena.Allocate(DType.F32, 1, config.Layers, 6 * d);
        HeadModulation = arena.Allocate(DType.F32, 1, 2, d);

        ImageKeyValue = new Tensor[config.HasImage ? config.Layers : 0];
        if (config.HasImage)
        {
            Stacked = arena.Allocate(DType.F32, slots, 1, config.InChannels * latent);
            ImageAttention = arena.Allocate(type, batch, rows, d);
            ImageStates = arena.Allocate(type, batch, image, config.ImageDim);
            ImageHidden = arena.Allocate(type, batch, image, config.ImageDim);
            ImageContext = arena.Allocate(type, batch, image, d);
            for (int i = 0; i < config.Layers; i++)
            {
                ImageKeyValue[i] = arena.Allocate(type, slots, image, 2 * d);
            }
        }

        // Samples of one size share a table; otherwise each has its own, which leaves its padding unturned.
        Tensor Table() => arena.Allocate(DType.F32, shape.Runs.Count, tokens, config.HeadDim / 2);
    }

    /// <summary>Latents, F32 [B, 1, C F H W]; of a smaller sample the first of them.</summary>
    public Tensor Input { get; }

    public Tensor Velocity { get; }

    /// <summary>[B, T, 4 C].</summary>
    public Tensor Patches { get; }

    /// <summary>F32 [B, T, 4 C]: the head's result before it is put together to latents.</summary>
    public Tensor Predicted { get; }

    /// <summary>Residual stream, F32 [B, T, D].</summary>
    public Tensor X { get; }

    /// <summary>[B, T, 3 D].</summary>
    public Tensor Qkv { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor Norm { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor Attention { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor Branch { get; }

    /// <summary>[B, R, F].</summary>
    public Tensor Mlp { get; }

    public RopeTable Rope { get; }

    /// <summary>F32 [1, 1, D]: what padding tokens start with.</summary>
    public Tensor Zero { get; }

    /// <summary>[B, L, text width].</summary>
    public Tensor TextStates { get; }

    /// <summary>[B, L, D].</summary>
    public Tensor TextHidden { get; }

    /// <summary>[B, L, D].</summary>
    public Tensor Context { get; }

    /// <summary>Per block [slots B, L, 2 D]: keys, values.</summary>
    public Tensor[] TextKeyValue { get; }

    /// <summary>F32 [steps, 1, 1].</summary>
    public Tensor Timesteps { get; }

    /// <summary>[1, steps, frequency width].</summary>
    public Tensor Sinusoid { get; }

    /// <summary>[1, steps, D].</summary>
    public Tensor TimeHidden { get; }

    /// <summary>F32 [1, steps, D].</summary>
    public Tensor Time { get; }

    /// <summary>F32 [1, steps, 6 D].</summary>
    public Tensor TimeProjection { get; }

    /// <summary>Modulations of the current step, F32 [1, M, 6 D].</summary>
    public Tensor Modulation { get; }

    /// <summary>F32 [1, 2, D].</summary>
    public Tensor HeadModulation { get; }

    /// <summary>Latents with conditioning latents behind them, F32 [slots B, 1, (C + Cc) F H W].</summary>
    public Tensor Stacked { get; }

    /// <summary>[B, R, D].</summary>
    public Tensor ImageAttention { get; }

    /// <summary>[B, image tokens, image width].</summary>
    public Tensor ImageStates { get; }

    /// <summary>[B, image tokens, image width].</summary>
    public Tensor ImageHidden { get; }

    /// <summary>[B, image tokens, D].</summary>
    public Tensor ImageContext { get; }

    /// <summary>Per block [slots B, image tokens, 2 D].</summary>
    public Tensor[] ImageKeyValue { get; }
}
