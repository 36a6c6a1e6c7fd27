namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>Geometry of a HunyuanVideo transformer.</summary>
public sealed record HunyuanConfig
{
    /// <summary>Channels of a latent.</summary>
    public required int Channels { get; init; }

    /// <summary>Number of double-stream blocks.</summary>
    public required int DoubleBlocks { get; init; }

    /// <summary>Number of single-stream blocks.</summary>
    public required int SingleBlocks { get; init; }

    /// <summary>Number of blocks of the token refiner.</summary>
    public int RefinerBlocks { get; init; } = 2;

    /// <summary>Attention heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of a head, Dh; even.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Width of the feed-forward layers, F.</summary>
    public required int MlpWidth { get; init; }

    /// <summary>Width of the text encoder's token states.</summary>
    public int TextDim { get; init; } = 4096;

    /// <summary>Width of the pooled text embedding.</summary>
    public int PooledDim { get; init; } = 768;

    /// <summary>True for a guidance-distilled model, as the released one is.</summary>
    public bool GuidanceEmbeds { get; init; } = true;

    /// <summary>Rotary widths of the three axes (frame, row, column); even, summing up to <see cref="HeadDim"/>.</summary>
    public required IReadOnlyList<int> RopeAxes { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public double RopeTheta { get; init; } = 256;

    /// <summary>Model width, D.</summary>
    public int Width => Heads * HeadDim;

    /// <summary>Elements of all modulations of one step: 2 D per refiner block, 12 D per double block, 3 D per single block, 2 D for the head.</summary>
    public int ModulationWidth => ((2 * RefinerBlocks) + (12 * DoubleBlocks) + (3 * SingleBlocks) + 2) * Width;

    /// <summary>HunyuanVideo text-to-video as released: 13 billion parameters.</summary>
    public static HunyuanConfig TextToVideo { get; } = new()
    {
        Channels = 16,
        DoubleBlocks = 20,
        SingleBlocks = 40,
        Heads = 24,
        HeadDim = 128,
        MlpWidth = 12288,
        RopeAxes = [16, 56, 56],
    };

    internal static LatentSize Patch { get; } = new(1, 2, 2);

    /// <summary>Reads a config.json of diffusers (HunyuanVideoTransformer3DModel), or one with the arguments of the released model's class.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="ModelFormatException">The file is missing, is no JSON, is of another model, or a value is missing or impossible.</exception>
    public static HunyuanConfig Read(string path)
    {
        ModelJson json = ModelJson.Read(path);
        string name = json.String("_class_name", json.Has("mm_double_blocks_depth") ? "HYVideoDiffusionTransformer" : "HunyuanVideoTransformer3DModel");
        HunyuanConfig config = name switch
        {
            "HYVideoDiffusionTransformer" => Original(json, path),
            "HunyuanVideoTransformer3DModel" => Diffusers(json, path),
            _ => throw new ModelFormatException($"{path} describes a {name}, not a HunyuanVideoTransformer3DModel"),
        };
        config.Validate(path);
        return config;
    }

    /// <summary>Checks that the values fit together.</summary>
    /// <param name="path">File to name in the message.</param>
    /// <exception cref="ModelFormatException">They do not.</exception>
    public void Validate(string path)
    {
        Require(
            ModelLimits.Holds(ModelLimits.Width, Channels, TextDim, PooledDim) && ModelLimits.Holds(ModelLimits.MlpWidth, MlpWidth), path,
            $"channel counts and widths must be positive, at most {ModelLimits.Width} and {ModelLimits.MlpWidth} for the feed-forward layers");
        Require(
            DoubleBlocks > 0 && SingleBlocks >= 0 && RefinerBlocks >= 0 && (long)DoubleBlocks + SingleBlocks + RefinerBlocks <= ModelLimits.Blocks, path,
            $"{DoubleBlocks} double, {SingleBlocks} single and {RefinerBlocks} refiner blocks are no HunyuanVideo model");
        Require(
            ModelLimits.Holds(ModelLimits.Heads, Heads) && ModelLimits.Holds(ModelLimits.HeadWidth, HeadDim) && HeadDim % 2 == 0 && Width <= ModelLimits.Width,
            path,
            $"{Heads} heads of width {HeadDim}: the width must be even and at most {ModelLimits.HeadWidth}, and at most {ModelLimits.Width} with all heads");
        Require(
            ((2L * RefinerBlocks) + (12L * DoubleBlocks) + (3L * SingleBlocks) + 2) * Width <= ModelLimits.Modulation, path,
            $"{DoubleBlocks} double and {SingleBlocks} single blocks of width {Width} are no HunyuanVideo model");
        Require(
            ModelLimits.AreAxes(RopeAxes, HeadDim), path,
            $"rotary axes {ModelLimits.Text(RopeAxes)} must be three even numbers that sum up to the head width {HeadDim}");
        Require(double.IsFinite(RopeTheta) && RopeTheta > 0, path, $"the rotary base {RopeTheta} must be positive");
    }

    private static HunyuanConfig Original(ModelJson json, string path)
    {
        RequirePatch(json.Integers("patch_size", [1, 2, 2]), path);
        int channels = json.Integer("in_channels", 16), width = json.Integer("hidden_size"), heads = json.Integer("heads_num");
        Require(json.Integer("out_channels", channels) == channels, path, "in_channels and out_channels must be equal in a text-to-video model");
        Require(heads > 0 && width > 0 && width % heads == 0, path, $"a width of {width} cannot be divided into {heads} heads");
        string projection = json.String("text_projection", "single_refiner"), norm = json.String("qk_norm_type", "rms"),
            activation = json.String("mlp_act_type", "gelu_tanh");
        Require(
            projection == "single_refiner" && norm == "rms" && activation == "gelu_tanh" && json.Boolean("qk_norm", true) && json.Boolean("qkv_bias", true),
            path,
            "text_projection, qk_norm, qk_norm_type, qkv_bias and mlp_act_type must be those of the released model");
        return new HunyuanConfig
        {
            Channels = channels,
            DoubleBlocks = json.Integer("mm_double_blocks_depth"),
            SingleBlocks = json.Integer("mm_single_blocks_depth"),
            RefinerBlocks = json.Integer("refiner_depth", 2),
            Heads = heads,
            HeadDim = width / heads,
            MlpWidth = MlpWidthOf(width, json.Number("mlp_width_ratio", 4)),
            TextDim = json.Integer("text_states_dim", 4096),
            PooledDim = json.Integer("text_states_dim_2", 768),
            GuidanceEmbeds = json.Boolean("guidance_embed", false),
            RopeAxes = json.Integers("rope_dim_list", [16, 56, 56]),
            RopeTheta = json.Number("rope_theta", 256),
        };
    }

    private static HunyuanConfig Diffusers(ModelJson json, string path)
    {
        RequirePatch([json.Integer("patch_size_t", 1), json.Integer("patch_size", 2), json.Integer("patch_size", 2)], path);
        Require(!json.Has("image_condition_type"), path, "image_condition_type belongs to an image-to-video model, which is not supported");
        string norm = json.String("qk_norm", "rms_norm");
        Require(norm == "rms_norm", path, $"qk_norm is {norm}; HunyuanVideo has rms_norm");
        int channels = json.Integer("in_channels", 16), heads = json.Integer("num_attention_heads"), headDim = json.Integer("attention_head_dim");
        Require(json.Integer("out_channels", channels) == channels, path, "in_channels and out_channels must be equal in a text-to-video model");
        return new HunyuanConfig
        {
            Channels = channels,
            DoubleBlocks = json.Integer("num_layers"),
            SingleBlocks = json.Integer("num_single_layers"),
            RefinerBlocks = json.Integer("num_refiner_layers", 2),
            Heads = heads,
            HeadDim = headDim,
            MlpWidth = MlpWidthOf((double)heads * headDim, json.Number("mlp_ratio", 4)),
            TextDim = json.Integer("text_embed_dim", 4096),
            PooledDim = json.Integer("pooled_projection_dim", 768),
            GuidanceEmbeds = json.Boolean("guidance_embeds", true),
            RopeAxes = json.Integers("rope_axes_dim", [16, 56, 56]),
            RopeTheta = json.Number("rope_theta", 256),
        };
    }

    // Out of an int's range it is -1, which Validate refuses.
    private static int MlpWidthOf(double width, double ratio) => width * ratio is >= 1 and <= int.MaxValue ? (int)(width * ratio) : -1;

    private static void RequirePatch(IReadOnlyList<int> patch, string path) =>
        Require(patch.SequenceEqual([1, 2, 2]), path, $"the patch size is {ModelLimits.Text(patch)}; HunyuanVideo cuts latents into patches of 1/2/2");

    private static void Require(bool condition, string path, string what)
    {
        if (!condition)
        {
            throw new ModelFormatException($"{path}: {what}");
        }
    }
}
