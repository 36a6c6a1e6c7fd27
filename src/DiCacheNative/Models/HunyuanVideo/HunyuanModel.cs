using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>A HunyuanVideo text-to-video transformer on a backend. Read-only once loaded; shared between programs and threads.</summary>
public sealed class HunyuanModel : IDisposable
{
    private const string OriginalMark = "double_blocks.0.img_attn_qkv.weight";
    private const string DiffusersMark = "context_embedder.proj_in.weight";

    private readonly HunyuanWeights _weights;
    private readonly Lifetime _lifetime;

    private HunyuanModel(IBackend backend, HunyuanSource source)
    {
        Backend = backend;
        Config = source.Config;
        _weights = new HunyuanWeights(backend, source);
        _lifetime = new Lifetime(nameof(HunyuanModel), _weights.Dispose);
    }

    /// <summary>Where it runs.</summary>
    public IBackend Backend { get; }

    /// <summary>Its geometry.</summary>
    public HunyuanConfig Config { get; }

    /// <summary>Number of parameters.</summary>
    public long Parameters => _weights.Parameters;

    /// <summary>Memory its weights take on the backend, in bytes.</summary>
    public long WeightBytes => _weights.Bytes;

    /// <summary>
    /// Loads a checkpoint: a folder (config.json with one file or a sharded index) or one file, with the released names (as safetensors; a
    /// .pt must be converted first) or those of diffusers. Without a config.json beside it, the geometry is inferred from the tensors.
    /// </summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="path">Folder or file.</param>
    /// <param name="log">Told about tensors of the checkpoint that are left unused, one sentence.</param>
    /// <exception cref="ModelFormatException">Something is missing, left over, of another shape, or no HunyuanVideo model at all.</exception>
    /// <exception cref="BackendException">The weights do not fit into memory.</exception>
    public static HunyuanModel Load(IBackend backend, string path, Action<string>? log = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        using Checkpoint checkpoint = Checkpoint.Open(path);
        string prefix = CheckpointGeometry.Prefix(checkpoint, OriginalMark, "module.", "model.model.", "model.diffusion_model.");
        bool original = checkpoint.Contains(prefix + OriginalMark);
        if (!original && !checkpoint.Contains(DiffusersMark))
        {
            throw CheckpointGeometry.NotA(checkpoint, "HunyuanVideo", $"neither {OriginalMark} (released names) nor {DiffusersMark} (diffusers)");
        }

        string? configPath = CheckpointGeometry.ConfigBeside(path);
        HunyuanConfig config = configPath is not null ? HunyuanConfig.Read(configPath) : original ? Infer(checkpoint, prefix) : InferDiffusers(checkpoint);
        config.Validate(configPath ?? path);
        CheckpointGeometry.RequireBlocks(checkpoint, configPath, (long)config.DoubleBlocks + config.SingleBlocks + config.RefinerBlocks);
        WeightMap map = new(checkpoint, "HunyuanVideo", prefix);
        TensorReader take = (name, shape) => map.Take(name, shape);
        HunyuanSource source = original ? new OriginalHunyuanSource(config, take) : new DiffusersHunyuanSource(config, take);
        source.TakeAll();
        map.Finish(log);
        MemoryPlan.RequireWeights(
            backend, path, reader => (((HunyuanSource)(original ? new OriginalHunyuanSource(config, reader)
                : new DiffusersHunyuanSource(config, reader)))).TakeAll());
        return new HunyuanModel(backend, source);
    }

    /// <summary>A model of random weights, for measurements. Every layer reads the same block of random numbers.</summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="config">Geometry.</param>
    /// <param name="seed">Seed of the numbers.</param>
    public static HunyuanModel Random(IBackend backend, HunyuanConfig config, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(config);
        using RandomTensors random = new(seed);
        return new HunyuanModel(backend, new DiffusersHunyuanSource(config, random.Take));
    }

    /// <summary>Tells the memory for a shape and a cache without allocating any of it.</summary>
    /// <param name="config">Geometry.</param>
    /// <param name="shape">Shape.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches and samples of the session.</param>
    /// <param name="type">Type of activations and matrices: BF16 on a GPU, F32 on the CPU.</param>
    public static MemoryPlan Plan(HunyuanConfig config, HunyuanShape shape, ICachePolicy policy, SessionOptions options, DType type)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(shape);
        FeatureShape features = new(type, shape.Batch, shape.ImageTokens, config.Width);
        return MemoryPlan.Of(
            take => new DiffusersHunyuanSource(config, take).TakeAll(), type, arena => _ = new HunyuanActivations(arena, config, shape, type), features,
            policy, options);
    }

    /// <summary>Lays the model out for a shape. The program belongs to the caller.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="backend">Where its operations go: the model's backend, or one that passes operations on to it (to count or time them).</param>
    /// <exception cref="BackendException">The activations do not fit into memory.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public HunyuanProgram CreateProgram(HunyuanShape shape, IBackend? backend = null)
    {
        ArgumentNullException.ThrowIfNull(shape);
        using Lifetime.Use use = _lifetime.Enter();
        return new HunyuanProgram(backend ?? Backend, Config, _weights, shape) { Weights = _lifetime };
    }

    /// <summary>
    /// Frees the weights; when programs use them on other threads, as their calls end. Programs cannot be used after that, only disposed. May
    /// be called twice.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private static HunyuanConfig Infer(Checkpoint checkpoint, string prefix)
    {
        int Dim(string name, int axis) => CheckpointGeometry.Dimension(checkpoint, prefix + name, axis);
        (int heads, int headDim) = CheckpointGeometry.Heads(checkpoint, Dim("img_in.proj.weight", 0), Dim("double_blocks.0.img_attn_q_norm.weight", 0));
        return new HunyuanConfig
        {
            Channels = Dim("img_in.proj.weight", 1),
            DoubleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "double_blocks."),
            SingleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "single_blocks."),
            RefinerBlocks = CheckpointGeometry.Count(checkpoint, prefix + "txt_in.individual_token_refiner.blocks."),
            Heads = heads,
            HeadDim = headDim,
            MlpWidth = Dim("double_blocks.0.img_mlp.fc1.weight", 0),
            TextDim = Dim("txt_in.input_embedder.weight", 1),
            PooledDim = Dim("vector_in.in_layer.weight", 1),
            GuidanceEmbeds = checkpoint.Contains(prefix + "guidance_in.mlp.0.weight"),
            RopeAxes = RotaryTable.InferAxes(headDim),
        };
    }

    private static HunyuanConfig InferDiffusers(Checkpoint checkpoint)
    {
        int Dim(string name, int axis) => CheckpointGeometry.Dimension(checkpoint, name, axis);
        (int heads, int headDim) = CheckpointGeometry.Heads(checkpoint, Dim("x_embedder.proj.weight", 0), Dim("transformer_blocks.0.attn.norm_q.weight", 0));
        return new HunyuanConfig
        {
            Channels = Dim("x_embedder.proj.weight", 1),
            DoubleBlocks = CheckpointGeometry.Count(checkpoint, "transformer_blocks."),
            SingleBlocks = CheckpointGeometry.Count(checkpoint, "single_transformer_blocks."),
            RefinerBlocks = CheckpointGeometry.Count(checkpoint, "context_embedder.token_refiner.refiner_blocks."),
            Heads = heads,
            HeadDim = headDim,
            MlpWidth = Dim("transformer_blocks.0.ff.net.0.proj.weight", 0),
            TextDim = Dim(DiffusersMark, 1),
            PooledDim = Dim("time_text_embed.text_embedder.linear_1.weight", 1),
            GuidanceEmbeds = checkpoint.Contains("time_text_embed.guidance_embedder.linear_1.weight"),
            RopeAxes = RotaryTable.InferAxes(headDim),
        };
    }
}
