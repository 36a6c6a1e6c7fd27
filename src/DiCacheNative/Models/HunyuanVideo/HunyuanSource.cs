using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>Where one stream of a double block comes from.</summary>
internal readonly record struct HunyuanStreamSource(
    LinearSource Modulation, LinearSource Qkv, LinearSource Projection, LinearSource Up, LinearSource Down, HostTensor QueryNorm, HostTensor KeyNorm);

/// <summary>Where a single block comes from.</summary>
internal readonly record struct HunyuanSingleSource(LinearSource Modulation, LinearSource Qkv, LinearSource Up, LinearSource Out, HostTensor QueryNorm,
    HostTensor KeyNorm);

/// <summary>Where a block of the token refiner comes from.</summary>
internal readonly record struct HunyuanRefinerSource(
    LinearSource Modulation, LinearSource Qkv, LinearSource Projection, LinearSource Up, LinearSource Down,
    HostTensor FirstNormScale, HostTensor FirstNormShift, HostTensor SecondNormScale, HostTensor SecondNormShift);

/// <summary>
/// The tensors of a HunyuanVideo checkpoint by their role, whatever they are called: the names of the released model, or those of
/// diffusers (q, k, v separate, head modulation scale first).
/// </summary>
internal abstract class HunyuanSource(HunyuanConfig config, TensorReader take) : LayerSource(take)
{
    public HunyuanConfig Config { get; } = config;

    public abstract LinearSource ImageIn { get; }

    public abstract (LinearSource In, LinearSource Out) TimeIn { get; }

    public abstract (LinearSource In, LinearSource Out) PooledIn { get; }

    public abstract (LinearSource In, LinearSource Out)? GuidanceIn { get; }

    public abstract LinearSource TextIn { get; }

    /// <summary>The refiner's own embedding of the time step.</summary>
    public abstract (LinearSource In, LinearSource Out) RefinerTimeIn { get; }

    /// <summary>The refiner's embedding of the mean of the text.</summary>
    public abstract (LinearSource In, LinearSource Out) RefinerTextIn { get; }

    /// <summary>Rows: shift, then scale.</summary>
    public abstract LinearSource FinalModulation { get; }

    public abstract LinearSource FinalProjection { get; }

    protected int D => Config.Width;

    protected int F => Config.MlpWidth;

    protected int HeadWidth => Config.Channels * HunyuanConfig.Patch.Positions;

    public abstract HunyuanRefinerSource Refiner(int block);

    /// <summary>Stream "img" or "txt" of double block i.</summary>
    public abstract HunyuanStreamSource Stream(int block, string stream);

    public abstract HunyuanSingleSource Single(int block);

    /// <summary>Touches every tensor, so that a reader that records problems has seen them all.</summary>
    public void TakeAll()
    {
        _ = (ImageIn, TimeIn, PooledIn, GuidanceIn, TextIn, RefinerTimeIn, RefinerTextIn, FinalModulation, FinalProjection);
        for (int i = 0; i < Config.RefinerBlocks; i++)
        {
            _ = Refiner(i);
        }

        for (int i = 0; i < Config.DoubleBlocks; i++)
        {
            _ = (Stream(i, "img"), Stream(i, "txt"));
        }

        for (int i = 0; i < Config.SingleBlocks; i++)
        {
            _ = Single(i);
        }
    }

    /// <summary>Two layers [inFeatures -> D] and [D -> D].</summary>
    protected (LinearSource In, LinearSource Out) Pair(int inFeatures, string first, string second) => (Linear(inFeatures, (first, D)), Linear(D, (second, D)));
}

/// <summary>The layout of the released checkpoint (the entry "module" of mp_rank_00_model_states.pt).</summary>
internal sealed class OriginalHunyuanSource(HunyuanConfig config, TensorReader take) : HunyuanSource(config, take)
{
    public override LinearSource ImageIn => Patch("img_in.proj", D, Config.Channels, HunyuanConfig.Patch);

    public override (LinearSource In, LinearSource Out) TimeIn => Mlp("time_in.mlp.", HunyuanProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) PooledIn => Pair(Config.PooledDim, "vector_in.in_layer", "vector_in.out_layer");

    public override (LinearSource In, LinearSource Out)? GuidanceIn => Config.GuidanceEmbeds ? Mlp("guidance_in.mlp.", HunyuanProgram.SinusoidWidth) : null;

    public override LinearSource TextIn => Linear(Config.TextDim, ("txt_in.input_embedder", D));

    public override (LinearSource In, LinearSource Out) RefinerTimeIn => Mlp("txt_in.t_embedder.mlp.", HunyuanProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) RefinerTextIn => Pair(Config.TextDim, "txt_in.c_embedder.linear_1", "txt_in.c_embedder.linear_2");

    public override LinearSource FinalModulation => Linear(D, ("final_layer.adaLN_modulation.1", 2 * D));

    public override LinearSource FinalProjection => Linear(D, ("final_layer.linear", HeadWidth));

    public override HunyuanRefinerSource Refiner(int block)
    {
        string b = $"txt_in.individual_token_refiner.blocks.{block}.";
        return new HunyuanRefinerSource(
            Linear(D, (b + "adaLN_modulation.1", 2 * D)),
            Linear(D, (b + "self_attn_qkv", 3 * D)),
            Linear(D, (b + "self_attn_proj", D)),
            Linear(D, (b + "mlp.fc1", F)),
            Linear(F, (b + "mlp.fc2", D)),
            Vector(b + "norm1.weight", D), Vector(b + "norm1.bias", D), Vector(b + "norm2.weight", D), Vector(b + "norm2.bias", D));
    }

    public override HunyuanStreamSource Stream(int block, string stream)
    {
        string b = $"double_blocks.{block}.{stream}_";
        return new HunyuanStreamSource(
            Linear(D, (b + "mod.linear", 6 * D)),
            Linear(D, (b + "attn_qkv", 3 * D)),
            Linear(D, (b + "attn_proj", D)),
            Linear(D, (b + "mlp.fc1", F)),
            Linear(F, (b + "mlp.fc2", D)),
            Vector(b + "attn_q_norm.weight", Config.HeadDim),
            Vector(b + "attn_k_norm.weight", Config.HeadDim));
    }

    public override HunyuanSingleSource Single(int block)
    {
        string b = $"single_blocks.{block}.";
        int fused = (3 * D) + F;
        return new HunyuanSingleSource(
            Linear(D, (b + "modulation.linear", 3 * D)),
            Rows(b + "linear1", fused, D, (0, 3 * D)),
            Rows(b + "linear1", fused, D, (3 * D, F)),
            Linear(D + F, (b + "linear2", D)),
            Vector(b + "q_norm.weight", Config.HeadDim),
            Vector(b + "k_norm.weight", Config.HeadDim));
    }

    private (LinearSource In, LinearSource Out) Mlp(string name, int inFeatures) => Pair(inFeatures, name + "0", name + "2");
}

/// <summary>The layout of HunyuanVideoTransformer3DModel.</summary>
internal sealed class DiffusersHunyuanSource(HunyuanConfig config, TensorReader take) : HunyuanSource(config, take)
{
    private const string Context = "context_embedder.";

    public override LinearSource ImageIn => Patch("x_embedder.proj", D, Config.Channels, HunyuanConfig.Patch);

    public override (LinearSource In, LinearSource Out) TimeIn => Embedder("time_text_embed.timestep_embedder", HunyuanProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) PooledIn => Embedder("time_text_embed.text_embedder", Config.PooledDim);

    public override (LinearSource In, LinearSource Out)? GuidanceIn =>
        Config.GuidanceEmbeds ? Embedder("time_text_embed.guidance_embedder", HunyuanProgram.SinusoidWidth) : null;

    public override LinearSource TextIn => Linear(Config.TextDim, (Context + "proj_in", D));

    public override (LinearSource In, LinearSource Out) RefinerTimeIn => Embedder(Context + "time_text_embed.timestep_embedder", HunyuanProgram.SinusoidWidth);

    public override (LinearSource In, LinearSource Out) RefinerTextIn => Embedder(Context + "time_text_embed.text_embedder", Config.TextDim);

    public override LinearSource FinalModulation => Rows("norm_out.linear", 2 * D, D, (D, D), (0, D));

    public override LinearSource FinalProjection => Linear(D, ("proj_out", HeadWidth));

    public override HunyuanRefinerSource Refiner(int block)
    {
        string b = $"{Context}token_refiner.refiner_blocks.{block}.";
        return new HunyuanRefinerSource(
            Linear(D, (b + "norm_out.linear", 2 * D)),
            Linear(D, (b + "attn.to_q", D), (b + "attn.to_k", D), (b + "attn.to_v", D)),
            Linear(D, (b + "attn.to_out.0", D)),
            Linear(D, (b + "ff.net.0.proj", F)),
            Linear(F, (b + "ff.net.2", D)),
            Vector(b + "norm1.weight", D), Vector(b + "norm1.bias", D), Vector(b + "norm2.weight", D), Vector(b + "norm2.bias", D));
    }

    public override HunyuanStreamSource Stream(int block, string stream)
    {
        string b = $"transformer_blocks.{block}.";
        bool image = stream == "img";
        string context = image ? string.Empty : "_context", added = image ? string.Empty : "added_";
        (string q, string k, string v) = image ? ("to_q", "to_k", "to_v") : ("add_q_proj", "add_k_proj", "add_v_proj");
        return new HunyuanStreamSource(
            Linear(D, ($"{b}norm1{context}.linear", 6 * D)),
            Linear(D, ($"{b}attn.{q}", D), ($"{b}attn.{k}", D), ($"{b}attn.{v}", D)),
            Linear(D, (image ? $"{b}attn.to_out.0" : $"{b}attn.to_add_out", D)),
            Linear(D, ($"{b}ff{context}.net.0.proj", F)),
            Linear(F, ($"{b}ff{context}.net.2", D)),
            Vector($"{b}attn.norm_{added}q.weight", Config.HeadDim),
            Vector($"{b}attn.norm_{added}k.weight", Config.HeadDim));
    }

    public override HunyuanSingleSource Single(int block)
    {
        string b = $"single_transformer_blocks.{block}.";
        return new HunyuanSingleSource(
            Linear(D, (b + "norm.linear", 3 * D)),
            Linear(D, (b + "attn.to_q", D), (b + "attn.to_k", D), (b + "attn.to_v", D)),
            Linear(D, (b + "proj_mlp", F)),
            Linear(D + F, (b + "proj_out", D)),
            Vector(b + "attn.norm_q.weight", Config.HeadDim),
            Vector(b + "attn.norm_k.weight", Config.HeadDim));
    }

    private (LinearSource In, LinearSource Out) Embedder(string name, int inFeatures) => Pair(inFeatures, name + ".linear_1", name + ".linear_2");
}
