namespace DiCacheNative.Models.Wan;

/// <summary>Geometry of a WAN 2.1 transformer.</summary>
public sealed record WanConfig
{
    /// <summary>Channels of a latent as the patch embedding sees it: 16, and 20 more of the conditioning latents in an image-to-video model.</summary>
    public required int InChannels { get; init; }

    /// <summary>Channels of the predicted latent, and of the one that is denoised.</summary>
    public required int OutChannels { get; init; }

    /// <summary>Model width, D.</summary>
    public required int Width { get; init; }

    /// <summary>Width of the feed-forward layers, F.</summary>
    public required int MlpWidth { get; init; }

    /// <summary>Attention heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Number of blocks, M.</summary>
    public required int Layers { get; init; }

    /// <summary>Width of the sinusoidal embedding of the time step.</summary>
    public int FrequencyWidth { get; init; } = 256;

    /// <summary>Width of the text encoder's token states.</summary>
    public int TextDim { get; init; } = 4096;

    /// <summary>Text tokens; shorter prompts are padded with zeros, and the padding is attended to.</summary>
    public int TextTokens { get; init; } = 512;

    /// <summary>Width of the CLIP image features of an image-to-video model; 0 for text-to-video.</summary>
    public int ImageDim { get; init; }

    /// <summary>Added to variances and mean squares of the norms inside the blocks.</summary>
    public float Epsilon { get; init; } = 1e-6f;

    /// <summary>Width of a head, Dh.</summary>
    public int HeadDim => Width / Heads;

    /// <summary>Channels of the latents that condition an image-to-video model (mask and first frame); 0 for text-to-video.</summary>
    public int ConditionChannels => InChannels - OutChannels;

    /// <summary>True for an image-to-video model.</summary>
    public bool HasImage => ImageDim > 0;

    /// <summary>Rotary widths of the three axes (frame, row, column): what is left after twice a third, rounded down to even, goes to the frames.</summary>
    public IReadOnlyList<int> RopeAxes => [HeadDim - (4 * (HeadDim / 6)), 2 * (HeadDim / 6), 2 * (HeadDim / 6)];

    /// <summary>WAN 2.1 text-to-video 1.3B as released.</summary>
    public static WanConfig TextToVideo1B { get; } = new() { InChannels = 16, OutChannels = 16, Width = 1536, MlpWidth = 8960, Heads = 12, Layers = 30 };

    /// <summary>WAN 2.1 text-to-video 14B as released.</summary>
    public static WanConfig TextToVideo14B { get; } = new() { InChannels = 16, OutChannels = 16, Width = 5120, MlpWidth = 13824, Heads = 40, Layers = 40 };

    /// <summary>WAN 2.1 image-to-video 14B as released.</summary>
    public static WanConfig ImageToVideo14B { get; } = TextToVideo14B with { InChannels = 36, ImageDim = ReleasedImageDim };

    // Width of the CLIP model that every released image-to-video model uses; their config.json does not say it.
    private const int ReleasedImageDim = 1280;

    internal static LatentSize Patch { get; } = new(1, 2, 2);

    /// <summary>Reads a config.json of the original checkpoints (WanModel) or of diffusers (WanTransformer3DModel).</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="ModelFormatException">The file is missing, is no JSON, is of another model, or a value is missing or impossible.</exception>
    public static WanConfig Read(string path)
    {
        ModelJson json = ModelJson.Read(path);
        string name = json.String("_class_name", "WanModel");
        WanConfig config = name switch
        {
            "WanModel" => Original(json, path),
            "WanTransformer3DModel" => Diffusers(json, path),
            _ => throw new ModelFormatException($"{path} describes a {name}, not a WanModel or WanTransformer3DModel"),
        };
        IReadOnlyList<int> patch = json.Integers("patch_size", [1, 2, 2]);
        Require(patch.SequenceEqual([1, 2, 2]), path, $"patch_size is {ModelLimits.Text(patch)}; WAN 2.1 cuts latents into patches of 1/2/2");
        config.Validate(path);
        return config;
    }

    /// <summary>Checks that the values fit together.</summary>
    /// <param name="path">File to name in the message.</param>
    /// <exception cref="ModelFormatException">They do not.</exception>
    public void Validate(string path)
    {
        Require(
            ModelLimits.Holds(ModelLimits.Width, InChannels, OutChannels, TextDim, TextTokens, FrequencyWidth, Width)
                && ImageDim is >= 0 and <= ModelLimits.Width, path,
            $"channel counts, widths and text sizes must be positive and at most {ModelLimits.Width}");
        Require(ModelLimits.Holds(ModelLimits.MlpWidth, MlpWidth), path, $"a feed-forward width of {MlpWidth} is no WAN model");
        Require(ModelLimits.Holds(ModelLimits.Blocks, Layers), path, $"{Layers} blocks are no WAN model");
        Require(FrequencyWidth % 2 == 0, path, $"the time step embedding has an odd width of {FrequencyWidth}");
        Require(
            ModelLimits.Holds(ModelLimits.Heads, Heads) && Width % Heads == 0 && HeadDim is >= 6 and <= ModelLimits.HeadWidth && HeadDim % 2 == 0, path,
            $"{Heads} heads in a width of {Width}: heads must be even, 6 to {ModelLimits.HeadWidth} wide");
        Require(((6L * Layers) + 2) * Width <= ModelLimits.Modulation, path, $"{Layers} blocks of width {Width} are no WAN model");
        Require(float.IsFinite(Epsilon) && Epsilon is > 0 and < 1, path, $"the norms' epsilon of {Epsilon} must lie between 0 and 1");
        Require(
            HasImage ? ConditionChannels > 0 : ConditionChannels == 0, path,
            $"{InChannels} channels in and {OutChannels} out: "
                + $"{(HasImage ? "an image-to-video model takes more than it gives" : "both must be equal in a text-to-video model")}");
    }

    private static WanConfig Original(ModelJson json, string path)
    {
        string type = json.String("model_type", "t2v");
        Require(type is "t2v" or "i2v", path, $"model_type is {type}; known are t2v and i2v");
        Require(json.Boolean("qk_norm", true) && json.Boolean("cross_attn_norm", true), path,
            "qk_norm and cross_attn_norm must be true, as in every released model");
        return new WanConfig
        {
            InChannels = json.Integer("in_dim", 16),
            OutChannels = json.Integer("out_dim", 16),
            Width = json.Integer("dim"),
            MlpWidth = json.Integer("ffn_dim"),
            Heads = json.Integer("num_heads"),
            Layers = json.Integer("num_layers"),
            FrequencyWidth = json.Integer("freq_dim", 256),
            TextDim = json.Integer("text_dim", 4096),
            TextTokens = json.Integer("text_len", 512),
            ImageDim = type == "i2v" ? json.Integer("image_dim", ReleasedImageDim) : 0,
            Epsilon = (float)json.Number("eps", 1e-6),
        };
    }

    private static WanConfig Diffusers(ModelJson json, string path)
    {
        string norm = json.String("qk_norm", "rms_norm_across_heads");
        Require(norm == "rms_norm_across_heads", path, $"qk_norm is {norm}; WAN 2.1 has rms_norm_across_heads");
        Require(json.Boolean("cross_attn_norm", true), path, "cross_attn_norm must be true, as in every released model");
        Require(!json.Has("pos_embed_seq_len"), path, "pos_embed_seq_len belongs to a first-and-last-frame model, which is not supported");
        int heads = json.Integer("num_attention_heads"), headDim = json.Integer("attention_head_dim"), imageDim = json.Integer("image_dim", 0);
        Require(
            ModelLimits.Holds(ModelLimits.Heads, heads) && ModelLimits.Holds(ModelLimits.HeadWidth, headDim), path,
            $"{heads} heads of width {headDim} are no WAN model");
        int width = heads * headDim;
        Require(json.Integer("added_kv_proj_dim", width) == width, path, $"added_kv_proj_dim must be the model width of {width}");
        return new WanConfig
        {
            InChannels = json.Integer("in_channels", 16),
            OutChannels = json.Integer("out_channels", 16),
            Width = width,
            MlpWidth = json.Integer("ffn_dim"),
            Heads = heads,
            Layers = json.Integer("num_layers"),
            FrequencyWidth = json.Integer("freq_dim", 256),
            TextDim = json.Integer("text_dim", 4096),
            ImageDim = imageDim,
            Epsilon = (float)json.Number("eps", 1e-6),
        };
    }

    private static void Require(bool condition, string path, string what)
    {
        if (!condition)
        {
            throw new ModelFormatException($"{path}: {what}");
        }
    }
}
