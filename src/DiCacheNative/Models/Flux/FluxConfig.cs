namespace DiCacheNative.Models.Flux;

/// <summary>Geometry of a FLUX.1 transformer.</summary>
public sealed record FluxConfig
{
    /// <summary>Width of a packed latent token (64 for FLUX.1: 16 channels, 2x2 patches).</summary>
    public required int InChannels { get; init; }

    /// <summary>Width of a predicted token; equal to <see cref="InChannels"/> in every released model.</summary>
    public required int OutChannels { get; init; }

    /// <summary>Number of double-stream blocks.</summary>
    public required int DoubleBlocks { get; init; }

    /// <summary>Number of single-stream blocks.</summary>
    public required int SingleBlocks { get; init; }

    /// <summary>Attention heads, H.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of a head, Dh; even.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Width of the text encoder's token states.</summary>
    public required int JointDim { get; init; }

    /// <summary>Width of the pooled text embedding.</summary>
    public required int PooledDim { get; init; }

    /// <summary>True for a guidance-distilled model (dev), false for schnell.</summary>
    public required bool GuidanceEmbeds { get; init; }

    /// <summary>Rotary widths of the three axes (index, row, column); even, summing up to <see cref="HeadDim"/>.</summary>
    public required IReadOnlyList<int> RopeAxes { get; init; }

    /// <summary>Model width, D.</summary>
    public int Width => Heads * HeadDim;

    /// <summary>Width of the feed-forward layers, F.</summary>
    public int MlpWidth => 4 * Width;

    /// <summary>Elements of all modulations of one step: 12 D per double block, 3 D per single block, 2 D for the head.</summary>
    public int ModulationWidth => ((12 * DoubleBlocks) + (3 * SingleBlocks) + 2) * Width;

    /// <summary>FLUX.1-dev as released: 12 billion parameters.</summary>
    public static FluxConfig Dev { get; } = new()
    {
        InChannels = 64,
        OutChannels = 64,
        DoubleBlocks = 19,
        SingleBlocks = 38,
        Heads = 24,
        HeadDim = 128,
        JointDim = 4096,
        PooledDim = 768,
        GuidanceEmbeds = true,
        RopeAxes = [16, 56, 56],
    };

    /// <summary>Reads a diffusers config.json.</summary>
    /// <param name="path">Path of the file.</param>
    /// <exception cref="ModelFormatException">The file is missing, is no JSON, is of another model, or a value is missing or impossible.</exception>
    public static FluxConfig Read(string path)
    {
        ModelJson json = ModelJson.Read(path);
        string name = json.String("_class_name", "FluxTransformer2DModel");
        if (name != "FluxTransformer2DModel")
        {
            throw new ModelFormatException($"{path} describes a {name}, not a FluxTransformer2DModel");
        }

        int inChannels = json.Integer("in_channels");
        FluxConfig config = new()
        {
            InChannels = inChannels,
            OutChannels = json.Integer("out_channels", inChannels),
            DoubleBlocks = json.Integer("num_layers"),
            SingleBlocks = json.Integer("num_single_layers"),
            Heads = json.Integer("num_attention_heads"),
            HeadDim = json.Integer("attention_head_dim"),
            JointDim = json.Integer("joint_attention_dim"),
            PooledDim = json.Integer("pooled_projection_dim"),
            GuidanceEmbeds = json.Boolean("guidance_embeds", false),
            RopeAxes = json.Integers("axes_dims_rope", [16, 56, 56]),
        };
        int patch = json.Integer("patch_size", 1);
        if (patch != 1)
        {
            throw new ModelFormatException($"{path}: patch_size is {patch}; FLUX latents come packed, with patch_size 1");
        }

        config.Validate(path);
        return config;
    }

    /// <summary>Rotary axes of a head width, for checkpoints that carry no config: 16/56/56 for the released head width of 128.</summary>
    /// <exception cref="ModelFormatException">The width cannot be divided into axes.</exception>
    public static IReadOnlyList<int> InferRopeAxes(int headDim) => RotaryTable.InferAxes(headDim);

    /// <summary>Checks that the values fit together.</summary>
    /// <param name="path">File to name in the message.</param>
    /// <exception cref="ModelFormatException">They do not.</exception>
    public void Validate(string path)
    {
        void Require(bool condition, string what)
        {
            if (!condition)
            {
                throw new ModelFormatException($"{path}: {what}");
            }
        }

        Require(
            ModelLimits.Holds(ModelLimits.Width, InChannels, OutChannels, JointDim, PooledDim),
            $"channel counts and embedding widths must be positive and at most {ModelLimits.Width}");
        Require(
            DoubleBlocks > 0 && SingleBlocks >= 0 && (long)DoubleBlocks + SingleBlocks <= ModelLimits.Blocks,
            $"{DoubleBlocks} double and {SingleBlocks} single blocks are no FLUX model");
        Require(
            ModelLimits.Holds(ModelLimits.Heads, Heads) && ModelLimits.Holds(ModelLimits.HeadWidth, HeadDim) && HeadDim % 2 == 0 && Width <= ModelLimits.Width,
            $"{Heads} heads of width {HeadDim}: the width must be even and at most {ModelLimits.HeadWidth}, and at most {ModelLimits.Width} with all heads");
        Require(
            ((12L * DoubleBlocks) + (3L * SingleBlocks) + 2) * Width <= ModelLimits.Modulation,
            $"{DoubleBlocks} double and {SingleBlocks} single blocks of width {Width} are no FLUX model");
        Require(
            ModelLimits.AreAxes(RopeAxes, HeadDim),
            $"rotary axes {ModelLimits.Text(RopeAxes)} must be three even numbers that sum up to the head width {HeadDim}");
        Require(InChannels % 4 == 0 && OutChannels == InChannels,
            $"{InChannels} channels in and {OutChannels} out: both must be the same multiple of 4 (a model that takes more than it gives is one for given "
            + $"pictures, such as fill or control)");
    }
}
