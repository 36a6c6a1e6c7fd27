using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Models.Flux;

/// <summary>A FLUX.1 transformer on a backend. Read-only once loaded; shared between programs and threads.</summary>
public sealed class FluxModel : IDisposable
{
    private readonly FluxWeights _weights;
    private readonly Lifetime _lifetime;

    private FluxModel(IBackend backend, FluxSource source)
    {
        Backend = backend;
        Config = source.Config;
        _weights = new FluxWeights(backend, source);
        _lifetime = new Lifetime(nameof(FluxModel), _weights.Dispose);
    }

    /// <summary>Where it runs.</summary>
    public IBackend Backend { get; }

    /// <summary>Its geometry.</summary>
    public FluxConfig Config { get; }

    /// <summary>Number of parameters.</summary>
    public long Parameters => _weights.Parameters;

    /// <summary>Memory its weights take on the backend, in bytes.</summary>
    public long WeightBytes => _weights.Bytes;

    /// <summary>
    /// Loads a checkpoint: a diffusers transformer folder (config.json with one file or a sharded index), or one file in the diffusers or
    /// the Black Forest Labs layout. Without a config.json beside it, the geometry is inferred from the tensors.
    /// </summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="path">Folder or file.</param>
    /// <param name="log">Told about tensors of the checkpoint that are left unused, one sentence.</param>
    /// <exception cref="ModelFormatException">Something is missing, left over, of another shape, or no FLUX model at all.</exception>
    /// <exception cref="BackendException">The weights do not fit into memory.</exception>
    public static FluxModel Load(IBackend backend, string path, Action<string>? log = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        using Checkpoint checkpoint = Checkpoint.Open(path);
        string prefix = CheckpointGeometry.Prefix(checkpoint, "double_blocks.0.img_attn.qkv.weight", "model.diffusion_model.");
        bool original = checkpoint.Contains(prefix + "double_blocks.0.img_attn.qkv.weight");
        if (!original && !checkpoint.Contains(prefix + "transformer_blocks.0.attn.to_q.weight"))
        {
            throw CheckpointGeometry.NotA(checkpoint, "FLUX", "neither double_blocks (Black Forest Labs) nor transformer_blocks (diffusers)");
        }

        string? configPath = CheckpointGeometry.ConfigBeside(path);
        FluxConfig config = configPath is not null ? FluxConfig.Read(configPath) : original ? Infer(checkpoint, prefix) : InferDiffusers(checkpoint, prefix);
        config.Validate(configPath ?? path);
        CheckpointGeometry.RequireBlocks(checkpoint, configPath, (long)config.DoubleBlocks + config.SingleBlocks);
        WeightMap map = new(checkpoint, "FLUX", prefix);
        FluxSource source = Source(original, config, (name, shape) => map.Take(name, shape));
        source.TakeAll();
        map.Finish(log);
        MemoryPlan.RequireWeights(backend, path, reader => Source(original, config, reader).TakeAll());
        return new FluxModel(backend, source);
    }

    /// <summary>A model of random weights, for measurements. Every layer reads the same block of random numbers.</summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="config">Geometry.</param>
    /// <param name="seed">Seed of the numbers.</param>
    public static FluxModel Random(IBackend backend, FluxConfig config, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(config);
        using RandomTensors random = new(seed);
        return new FluxModel(backend, Source(original: false, config, random.Take));
    }

    /// <summary>Tells the memory for a shape and a cache without allocating any of it.</summary>
    /// <param name="config">Geometry.</param>
    /// <param name="shape">Shape.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches and samples of the session.</param>
    /// <param name="type">Type of activations and matrices: BF16 on a GPU, F32 on the CPU.</param>
    public static MemoryPlan Plan(FluxConfig config, FluxShape shape, ICachePolicy policy, SessionOptions options, DType type)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(shape);
        FeatureShape features = new(type, shape.Batch, shape.ImageTokens, config.Width);
        return MemoryPlan.Of(
            take => Source(original: false, config, take).TakeAll(), type, arena => _ = new FluxActivations(arena, config, shape, type), features, policy,
            options);
    }

    /// <summary>Lays the model out for a shape. The program belongs to the caller.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="backend">Where its operations go: the model's backend, or one that passes operations on to it (to count or time them).</param>
    /// <exception cref="BackendException">The activations do not fit into memory.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public FluxProgram CreateProgram(FluxShape shape, IBackend? backend = null)
    {
        ArgumentNullException.ThrowIfNull(shape);
        using Lifetime.Use use = _lifetime.Enter();
        return new FluxProgram(backend ?? Backend, Config, _weights, shape) { Weights = _lifetime };
    }

    /// <summary>
    /// Frees the weights; when programs use them on other threads, as their calls end. Programs cannot be used after that, only disposed. May
    /// be called twice.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private static FluxSource Source(bool original, FluxConfig config, TensorReader take) =>
        original ? new OriginalFluxSource(config, take) : new DiffusersFluxSource(config, take);

    // Geometry of a checkpoint in the Black Forest Labs layout.
    private static FluxConfig Infer(Checkpoint checkpoint, string prefix)
    {
        int Dim(string name, int axis) => CheckpointGeometry.Dimension(checkpoint, prefix + name, axis);
        (int heads, int headDim) = CheckpointGeometry.Heads(checkpoint, Dim("img_in.weight", 0), Dim("double_blocks.0.img_attn.norm.query_norm.scale", 0));
        return new FluxConfig
        {
            InChannels = Dim("img_in.weight", 1),
            OutChannels = Dim("final_layer.linear.weight", 0),
            DoubleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "double_blocks."),
            SingleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "single_blocks."),
            Heads = heads,
            HeadDim = headDim,
            JointDim = Dim("txt_in.weight", 1),
            PooledDim = Dim("vector_in.in_layer.weight", 1),
            GuidanceEmbeds = checkpoint.Contains(prefix + "guidance_in.in_layer.weight"),
            RopeAxes = FluxConfig.InferRopeAxes(headDim),
        };
    }

    private static FluxConfig InferDiffusers(Checkpoint checkpoint, string prefix)
    {
        int Dim(string name, int axis) => CheckpointGeometry.Dimension(checkpoint, prefix + name, axis);
        (int heads, int headDim) = CheckpointGeometry.Heads(checkpoint, Dim("x_embedder.weight", 0), Dim("transformer_blocks.0.attn.norm_q.weight", 0));
        return new FluxConfig
        {
            InChannels = Dim("x_embedder.weight", 1),
            OutChannels = Dim("proj_out.weight", 0),
            DoubleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "transformer_blocks."),
            SingleBlocks = CheckpointGeometry.Count(checkpoint, prefix + "single_transformer_blocks."),
            Heads = heads,
            HeadDim = headDim,
            JointDim = Dim("context_embedder.weight", 1),
            PooledDim = Dim("time_text_embed.text_embedder.linear_1.weight", 1),
            GuidanceEmbeds = checkpoint.Contains(prefix + "time_text_embed.guidance_embedder.linear_1.weight"),
            RopeAxes = FluxConfig.InferRopeAxes(headDim),
        };
    }
}
