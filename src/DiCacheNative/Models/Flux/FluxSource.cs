using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Flux;

/// <summary>Where one stream of a double block comes from.</summary>
internal readonly record struct FluxStreamSource(
    LinearSource Modulation, LinearSource Qkv, LinearSource Projection, LinearSource Up, LinearSource Down, HostTensor QueryNorm, HostTensor KeyNorm);

/// <summary>Where a single block comes from.</summary>
internal readonly record struct FluxSingleSource(LinearSource Modulation, LinearSource Qkv, LinearSource Up, LinearSource Out, HostTensor QueryNorm,
    HostTensor KeyNorm);

/// <summary>
/// The tensors of a FLUX checkpoint by their role, whatever they are called. Two layouts are known: diffusers (q, k, v separate, head
/// modulation scale first) and Black Forest Labs (q, k, v and the single block's first layer fused by rows, head modulation shift first).
/// </summary>
internal abstract class FluxSource(FluxConfig config, TensorReader take) : LayerSource(take)
{
    public FluxConfig Config { get; } = config;

    public abstract LinearSource ImageIn { get; }

    public abstract LinearSource TextIn { get; }

    public abstract (LinearSource In, LinearSource Out) TimeIn { get; }

    public abstract (LinearSource In, LinearSource Out) PooledIn { get; }

    public abstract (LinearSource In, LinearSource Out)? GuidanceIn { get; }

    /// <summary>Rows: shift, then scale.</summary>
    public abstract LinearSource FinalModulation { get; }

    public abstract LinearSource FinalProjection { get; }

    protected int D => Config.Width;

    /// <summary>Stream "img" or "txt" of double block i.</summary>
    public abstract FluxStreamSource Stream(int block, string stream);

    public abstract FluxSingleSource Single(int block);

    /// <summary>Touches every tensor, so that a reader that records problems has seen them all.</summary>
    public void TakeAll()
    {
        _ = (ImageIn, TextIn, TimeIn, PooledIn, GuidanceIn, FinalModulation, FinalProjection);
        for (int i = 0; i < Config.DoubleBlocks; i++)
        {
            _ = (Stream(i, "img"), Stream(i, "txt"));
        }

        for (int i = 0; i < Config.SingleBlocks; i++)
        {
            _ = Single(i);
        }
    }
}

/// <summary>The layout of FluxTransformer2DModel.</summary>
internal sealed class DiffusersFluxSource(FluxConfig config, TensorReader take) : FluxSource(config, take)
{
    public override LinearSource ImageIn => Linear(Config.InChannels, ("x_embedder", D));

    public override LinearSource TextIn => Linear(Config.JointDim, ("context_embedder", D));

    public override (LinearSource In, LinearSource Out) TimeIn => Embedder("timestep_embedder", FluxProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) PooledIn => Embedder("text_embedder", Config.PooledDim);

    public override (LinearSource In, LinearSource Out)? GuidanceIn => Config.GuidanceEmbeds ? Embedder("guidance_embedder", FluxProgram.SinusoidWidth) : null;

    public override LinearSource FinalModulation => Rows("norm_out.linear", 2 * D, D, (D, D), (0, D));

    public override LinearSource FinalProjection => Linear(D, ("proj_out", Config.OutChannels));

    public override FluxStreamSource Stream(int block, string stream)
    {
        string b = $"transformer_blocks.{block}.";
        bool image = stream == "img";
        string context = image ? string.Empty : "_context", added = image ? string.Empty : "added_";
        (string q, string k, string v) = image ? ("to_q", "to_k", "to_v") : ("add_q_proj", "add_k_proj", "add_v_proj");
        return new FluxStreamSource(
            Linear(D, ($"{b}norm1{context}.linear", 6 * D)),
            Linear(D, ($"{b}attn.{q}", D), ($"{b}attn.{k}", D), ($"{b}attn.{v}", D)),
            Linear(D, (image ? $"{b}attn.to_out.0" : $"{b}attn.to_add_out", D)),
            Linear(D, ($"{b}ff{context}.net.0.proj", Config.MlpWidth)),
            Linear(Config.MlpWidth, ($"{b}ff{context}.net.2", D)),
            Vector($"{b}attn.norm_{added}q.weight", Config.HeadDim),
            Vector($"{b}attn.norm_{added}k.weight", Config.HeadDim));
    }

    public override FluxSingleSource Single(int block)
    {
        string b = $"single_transformer_blocks.{block}.";
        return new FluxSingleSource(
            Linear(D, (b + "norm.linear", 3 * D)),
            Linear(D, (b + "attn.to_q", D), (b + "attn.to_k", D), (b + "attn.to_v", D)),
            Linear(D, (b + "proj_mlp", Config.MlpWidth)),
            Linear(D + Config.MlpWidth, (b + "proj_out", D)),
            Vector(b + "attn.norm_q.weight", Config.HeadDim),
            Vector(b + "attn.norm_k.weight", Config.HeadDim));
    }

    private (LinearSource In, LinearSource Out) Embedder(string name, int inFeatures) =>
        (Linear(inFeatures, ($"time_text_embed.{name}.linear_1", D)), Linear(D, ($"time_text_embed.{name}.linear_2", D)));
}

/// <summary>The layout of the original Black Forest Labs checkpoints (flux1-dev.safetensors).</summary>
internal sealed class OriginalFluxSource(FluxConfig config, TensorReader take) : FluxSource(config, take)
{
    public override LinearSource ImageIn => Linear(Config.InChannels, ("img_in", D));

    public override LinearSource TextIn => Linear(Config.JointDim, ("txt_in", D));

    public override (LinearSource In, LinearSource Out) TimeIn => Embedder("time_in", FluxProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) PooledIn => Embedder("vector_in", Config.PooledDim);

    public override (LinearSource In, LinearSource Out)? GuidanceIn => Config.GuidanceEmbeds ? Embedder("guidance_in", FluxProgram.SinusoidWidth) : null;

    public override LinearSource FinalModulation => Linear(D, ("final_layer.adaLN_modulation.1", 2 * D));

    public override LinearSource FinalProjection => Linear(D, ("final_layer.linear", Config.OutChannels));

    public override FluxStreamSource Stream(int block, string stream)
    {
        string b = $"double_blocks.{block}.{stream}_";
        return new FluxStreamSource(
            Linear(D, (b + "mod.lin", 6 * D)),
            Linear(D, (b + "attn.qkv", 3 * D)),
            Linear(D, (b + "attn.proj", D)),
            Linear(D, (b + "mlp.0", Config.MlpWidth)),
            Linear(Config.MlpWidth, (b + "mlp.2", D)),
            Vector(b + "attn.norm.query_norm.scale", Config.HeadDim),
            Vector(b + "attn.norm.key_norm.scale", Config.HeadDim));
    }

    public override FluxSingleSource Single(int block)
    {
        string b = $"single_blocks.{block}.";
        int fused = (3 * D) + Config.MlpWidth;
        return new FluxSingleSource(
            Linear(D, (b + "modulation.lin", 3 * D)),
            Rows(b + "linear1", fused, D, (0, 3 * D)),
            Rows(b + "linear1", fused, D, (3 * D, Config.MlpWidth)),
            Linear(D + Config.MlpWidth, (b + "linear2", D)),
            Vector(b + "norm.query_norm.scale", Config.HeadDim),
            Vector(b + "norm.key_norm.scale", Config.HeadDim));
    }

    private (LinearSource In, LinearSource Out) Embedder(string name, int inFeatures) =>
        (Linear(inFeatures, (name + ".in_layer", D)), Linear(D, (name + ".out_layer", D)));
}
