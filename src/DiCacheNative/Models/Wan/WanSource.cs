using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Wan;

/// <summary>Where a block comes from. The last three belong to image-to-video models.</summary>
internal readonly record struct WanBlockSource(
    HostTensor Modulation, LinearSource Qkv, LinearSource Out, HostTensor QueryNorm, HostTensor KeyNorm,
    HostTensor CrossNormScale, HostTensor CrossNormShift, LinearSource CrossQuery, LinearSource CrossKeyValue, LinearSource CrossOut, HostTensor CrossQueryNorm,
    HostTensor CrossKeyNorm, LinearSource Up, LinearSource Down, LinearSource? ImageKeyValue, HostTensor? ImageKeyNorm);

/// <summary>Where the embedding of CLIP features comes from.</summary>
internal readonly record struct WanImageSource(
    HostTensor FirstNormScale, HostTensor FirstNormShift, LinearSource Up, LinearSource Down, HostTensor LastNormScale, HostTensor LastNormShift);

/// <summary>The tensors of a WAN checkpoint by their role, whatever they are called: the released names, or those of diffusers.</summary>
internal abstract class WanSource(WanConfig config, TensorReader take) : LayerSource(take)
{
    public WanConfig Config { get; } = config;

    public abstract LinearSource PatchIn { get; }

    public abstract (LinearSource In, LinearSource Out) TextIn { get; }

    public abstract (LinearSource In, LinearSource Out) TimeIn { get; }

    public abstract LinearSource TimeProjection { get; }

    public abstract WanImageSource? ImageIn { get; }

    /// <summary>[1, 2, D]: shift, then scale.</summary>
    public abstract HostTensor HeadModulation { get; }

    public abstract LinearSource HeadProjection { get; }

    protected int D => Config.Width;

    protected int HeadWidth => Config.OutChannels * WanConfig.Patch.Positions;

    public abstract WanBlockSource Block(int index);

    /// <summary>Touches every tensor, so that a reader that records problems has seen them all.</summary>
    public void TakeAll()
    {
        _ = (PatchIn, TextIn, TimeIn, TimeProjection, ImageIn, HeadModulation, HeadProjection);
        for (int i = 0; i < Config.Layers; i++)
        {
            _ = Block(i);
        }
    }
}

/// <summary>The layout of the released checkpoints.</summary>
internal sealed class OriginalWanSource(WanConfig config, TensorReader take) : WanSource(config, take)
{
    public override LinearSource PatchIn => Patch("patch_embedding", D, Config.InChannels, WanConfig.Patch);

    public override (LinearSource In, LinearSource Out) TextIn => (Linear(Config.TextDim, ("text_embedding.0", D)), Linear(D, ("text_embedding.2", D)));

    public override (LinearSource In, LinearSource Out) TimeIn => (Linear(Config.FrequencyWidth, ("time_embedding.0", D)), Linear(D, ("time_embedding.2", D)));

    public override LinearSource TimeProjection => Linear(D, ("time_projection.1", 6 * D));

    public override WanImageSource? ImageIn => !Config.HasImage ? null : new WanImageSource(
        Vector("img_emb.proj.0.weight", Config.ImageDim), Vector("img_emb.proj.0.bias", Config.ImageDim),
        Linear(Config.ImageDim, ("img_emb.proj.1", Config.ImageDim)), Linear(Config.ImageDim, ("img_emb.proj.3", D)),
        Vector("img_emb.proj.4.weight", D), Vector("img_emb.proj.4.bias", D));

    public override HostTensor HeadModulation => Table("head.modulation", 2, D);

    public override LinearSource HeadProjection => Linear(D, ("head.head", HeadWidth));

    public override WanBlockSource Block(int index)
    {
        string b = $"blocks.{index}.", s = b + "self_attn.", c = b + "cross_attn.";
        return new WanBlockSource(
            Table(b + "modulation", 6, D),
            Linear(D, (s + "q", D), (s + "k", D), (s + "v", D)),
            Linear(D, (s + "o", D)),
            Vector(s + "norm_q.weight", D),
            Vector(s + "norm_k.weight", D),
            Vector(b + "norm3.weight", D),
            Vector(b + "norm3.bias", D),
            Linear(D, (c + "q", D)),
            Linear(D, (c + "k", D), (c + "v", D)),
            Linear(D, (c + "o", D)),
            Vector(c + "norm_q.weight", D),
            Vector(c + "norm_k.weight", D),
            Linear(D, (b + "ffn.0", Config.MlpWidth)),
            Linear(Config.MlpWidth, (b + "ffn.2", D)),
            Config.HasImage ? Linear(D, (c + "k_img", D), (c + "v_img", D)) : null,
            Config.HasImage ? Vector(c + "norm_k_img.weight", D) : null);
    }
}

/// <summary>The layout of WanTransformer3DModel.</summary>
internal sealed class DiffusersWanSource(WanConfig config, TensorReader take) : WanSource(config, take)
{
    private const string Embedder = "condition_embedder.";

    public override LinearSource PatchIn => Patch("patch_embedding", D, Config.InChannels, WanConfig.Patch);

    public override (LinearSource In, LinearSource Out) TextIn => Pair("text_embedder.linear_", Config.TextDim);

    public override (LinearSource In, LinearSource Out) TimeIn => Pair("time_embedder.linear_", Config.FrequencyWidth);

    public override LinearSource TimeProjection => Linear(D, (Embedder + "time_proj", 6 * D));

    public override WanImageSource? ImageIn => !Config.HasImage ? null : new WanImageSource(
        Vector(Embedder + "image_embedder.norm1.weight", Config.ImageDim), Vector(Embedder + "image_embedder.norm1.bias", Config.ImageDim),
        Linear(Config.ImageDim, (Embedder + "image_embedder.ff.net.0.proj", Config.ImageDim)),
        Linear(Config.ImageDim, (Embedder + "image_embedder.ff.net.2", D)),
        Vector(Embedder + "image_embedder.norm2.weight", D), Vector(Embedder + "image_embedder.norm2.bias", D));

    public override HostTensor HeadModulation => Table("scale_shift_table", 2, D);

    public override LinearSource HeadProjection => Linear(D, ("proj_out", HeadWidth));

    public override WanBlockSource Block(int index)
    {
        string b = $"blocks.{index}.", s = b + "attn1.", c = b + "attn2.";
        return new WanBlockSource(
            Table(b + "scale_shift_table", 6, D),
            Linear(D, (s + "to_q", D), (s + "to_k", D), (s + "to_v", D)),
            Linear(D, (s + "to_out.0", D)),
            Vector(s + "norm_q.weight", D),
            Vector(s + "norm_k.weight", D),
            Vector(b + "norm2.weight", D),
            Vector(b + "norm2.bias", D),
            Linear(D, (c + "to_q", D)),
            Linear(D, (c + "to_k", D), (c + "to_v", D)),
            Linear(D, (c + "to_out.0", D)),
            Vector(c + "norm_q.weight", D),
            Vector(c + "norm_k.weight", D),
            Linear(D, (b + "ffn.net.0.proj", Config.MlpWidth)),
            Linear(Config.MlpWidth, (b + "ffn.net.2", D)),
            Config.HasImage ? Linear(D, (c + "add_k_proj", D), (c + "add_v_proj", D)) : null,
            Config.HasImage ? Vector(c + "norm_added_k.weight", D) : null);
    }

    private (LinearSource In, LinearSource Out) Pair(string name, int inFeatures) =>
        (Linear(inFeatures, (Embedder + name + "1", D)), Linear(D, (Embedder + name + "2", D)));
}
