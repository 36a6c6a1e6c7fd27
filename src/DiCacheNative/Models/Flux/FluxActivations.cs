using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Flux;

/// <summary>
/// All activations of a FLUX program, taken from an arena (or measured on one without memory). L = text and image tokens, D = model width, R = steps times
/// slots times samples: one row of modulations each.
/// </summary>
internal sealed class FluxActivations
{
    public FluxActivations(Arena arena, FluxConfig config, FluxShape shape, DType type)
    {
        int batch = shape.Batch, length = shape.Tokens, text = shape.TextTokens, image = shape.ImageTokens, d = config.Width,
            rows = shape.MaxSteps * shape.Slots * batch;
        Input = arena.Allocate(DType.F32, batch, image, config.InChannels);
        Velocity = arena.Allocate(DType.F32, batch, image, config.OutChannels);
        Tokens = type == DType.F32 ? Input : arena.Allocate(type, batch, image, config.InChannels);
        Joint = arena.Allocate(type, batch, length, d);
        Norm = arena.Allocate(type, batch, length, d);
        Qkv = arena.Allocate(type, batch, length, 3 * d);
        AttentionAndMlp = arena.Allocate(type, batch, length, d + config.MlpWidth);
        Branch = arena.Allocate(type, batch, length, d);
        TextStates = arena.Allocate(type, batch, text, config.JointDim);
        Contexts = arena.Allocate(type, shape.Slots * batch, text, d);
        Values = arena.Allocate(DType.F32, rows, 1, 1);
        Sinusoid = arena.Allocate(type, 1, rows, FluxProgram.SinusoidWidth);
        PooledRows = arena.Allocate(type, 1, rows, config.PooledDim);
        VectorA = arena.Allocate(type, 1, rows, d);
        VectorB = arena.Allocate(type, 1, rows, d);
        Vector = arena.Allocate(DType.F32, 1, rows, d);
        Modulations = arena.Allocate(DType.F32, 1, rows, config.ModulationWidth);
        Modulation = arena.Allocate(DType.F32, batch, 1, config.ModulationWidth);
        Rope = new RopeTable(arena.Allocate(DType.F32, 1, length, config.HeadDim / 2), arena.Allocate(DType.F32, 1, length, config.HeadDim / 2));
    }

    /// <summary>[B, image, channels].</summary>
    public Tensor Input { get; }

    /// <summary>[B, image, channels].</summary>
    public Tensor Velocity { get; }

    /// <summary>The input in the type of activations.</summary>
    public Tensor Tokens { get; }

    /// <summary>Text and image stream [B, L, D].</summary>
    public Tensor Joint { get; }

    /// <summary>[B, L, D].</summary>
    public Tensor Norm { get; }

    /// <summary>[B, L, 3 D].</summary>
    public Tensor Qkv { get; }

    /// <summary>[B, L, D + MLP width].</summary>
    public Tensor AttentionAndMlp { get; }

    /// <summary>[B, L, D].</summary>
    public Tensor Branch { get; }

    /// <summary>[B, text, joint width].</summary>
    public Tensor TextStates { get; }

    /// <summary>Embedded text of every slot [slots B, text, D].</summary>
    public Tensor Contexts { get; }

    /// <summary>[R, 1, 1].</summary>
    public Tensor Values { get; }

    /// <summary>[1, R, sinusoid width].</summary>
    public Tensor Sinusoid { get; }

    /// <summary>[1, R, pooled width].</summary>
    public Tensor PooledRows { get; }

    /// <summary>[1, R, D].</summary>
    public Tensor VectorA { get; }

    /// <summary>[1, R, D].</summary>
    public Tensor VectorB { get; }

    /// <summary>[1, R, D].</summary>
    public Tensor Vector { get; }

    /// <summary>Modulations of all steps and slots [1, R, modulation width].</summary>
    public Tensor Modulations { get; }

    /// <summary>Those of the current step and slot [B, 1, modulation width].</summary>
    public Tensor Modulation { get; }

    /// <summary>Rotary table of all tokens.</summary>
    public RopeTable Rope { get; }
}
