using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Models.Wan;

/// <summary>A WAN 2.1 transformer on a backend, text-to-video or image-to-video. Read-only once loaded; shared between programs and threads.</summary>
public sealed class WanModel : IDisposable
{
    // Head width of every released model, for checkpoints without a config.json.
    private const int ReleasedHeadDim = 128;

    private readonly WanWeights _weights;
    private readonly Lifetime _lifetime;

    private WanModel(IBackend backend, WanSource source)
    {
        Backend = backend;
        Config = source.Config;
        _weights = new WanWeights(backend, source);
        _lifetime = new Lifetime(nameof(WanModel), _weights.Dispose);
    }

    /// <summary>Where it runs.</summary>
    public IBackend Backend { get; }

    /// <summary>Its geometry.</summary>
    public WanConfig Config { get; }

    /// <summary>Number of parameters.</summary>
    public long Parameters => _weights.Parameters;

    /// <summary>Memory its weights take on the backend, in bytes.</summary>
    public long WeightBytes => _weights.Bytes;

    /// <summary>
    /// Loads a checkpoint: a folder (config.json with one file or a sharded index) or one file, with the released names or those of
    /// diffusers. Without a config.json beside it, the geometry is inferred from the tensors, with heads of width 128.
    /// </summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="path">Folder or file.</param>
    /// <param name="log">Told about tensors of the checkpoint that are left unused, one sentence.</param>
    /// <exception cref="ModelFormatException">Something is missing, left over, of another shape, or no WAN model at all.</exception>
    /// <exception cref="BackendException">The weights do not fit into memory.</exception>
    public static WanModel Load(IBackend backend, string path, Action<string>? log = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        using Checkpoint checkpoint = Checkpoint.Open(path);
        string prefix = CheckpointGeometry.Prefix(checkpoint, "blocks.0.self_attn.q.weight", "model.diffusion_model.");
        bool original = checkpoint.Contains(prefix + "blocks.0.self_attn.q.weight");
        if (!original && !checkpoint.Contains("blocks.0.attn1.to_q.weight"))
        {
            throw CheckpointGeometry.NotA(checkpoint, "WAN", "neither blocks.0.self_attn (released names) nor blocks.0.attn1 (diffusers)");
        }

        string? configPath = CheckpointGeometry.ConfigBeside(path);
        WanConfig config = configPath is not null ? WanConfig.Read(configPath) : Infer(checkpoint, prefix, original);
        config.Validate(configPath ?? path);
        CheckpointGeometry.RequireBlocks(checkpoint, configPath, config.Layers);
        WeightMap map = new(checkpoint, "WAN", prefix);
        TensorReader take = (name, shape) => map.Take(name, shape);
        WanSource source = original ? new OriginalWanSource(config, take) : new DiffusersWanSource(config, take);
        source.TakeAll();
        map.Finish(log);
        MemoryPlan.RequireWeights(
            backend, path, reader => (((WanSource)(original ? new OriginalWanSource(config, reader) : new DiffusersWanSource(config, reader)))).TakeAll());
        return new WanModel(backend, source);
    }

    /// <summary>A model of random weights, for measurements. Every layer reads the same block of random numbers.</summary>
    /// <param name="backend">Where the weights go.</param>
    /// <param name="config">Geometry.</param>
    /// <param name="seed">Seed of the numbers.</param>
    public static WanModel Random(IBackend backend, WanConfig config, int seed = 0)
    {
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(config);
        using RandomTensors random = new(seed);
        return new WanModel(backend, new OriginalWanSource(config, random.Take));
    }

    /// <summary>Tells the memory for a shape and a cache without allocating any of it.</summary>
    /// <param name="config">Geometry.</param>
    /// <param name="shape">Shape.</param>
    /// <param name="policy">The cache.</param>
    /// <param name="options">Branches and samples of the session.</param>
    /// <param name="type">Type of activations and matrices: BF16 on a GPU, F32 on the CPU.</param>
    public static MemoryPlan Plan(WanConfig config, WanShape shape, ICachePolicy policy, SessionOptions options, DType type)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(shape);
        FeatureShape features = new(WanProgram.ResidualType, shape.Batch, shape.Tokens, config.Width);
        return MemoryPlan.Of(
            take => new OriginalWanSource(config, take).TakeAll(), type, arena => _ = new WanActivations(arena, config, shape, type), features, policy,
            options);
    }

    /// <summary>Lays the model out for a shape. The program belongs to the caller.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="backend">Where its operations go: the model's backend, or one that passes operations on to it (to count or time them).</param>
    /// <exception cref="BackendException">The activations do not fit into memory.</exception>
    /// <exception cref="ObjectDisposedException">The model was disposed.</exception>
    public WanProgram CreateProgram(WanShape shape, IBackend? backend = null)
    {
        ArgumentNullException.ThrowIfNull(shape);
        using Lifetime.Use use = _lifetime.Enter();
        return new WanProgram(backend ?? Backend, Config, _weights, shape) { Weights = _lifetime };
    }

    /// <summary>
    /// Frees the weights; when programs use them on other threads, as their calls end. Programs cannot be used after that, only disposed. May
    /// be called twice.
    /// </summary>
    public void Dispose() => _lifetime.End();

    private static WanConfig Infer(Checkpoint checkpoint, string prefix, bool original)
    {
        int Dim(string released, string diffusers, int axis) => CheckpointGeometry.Dimension(checkpoint, prefix + (original ? released : diffusers), axis);
        int width = Dim("patch_embedding.weight", "patch_embedding.weight", 0);
        if (width % ReleasedHeadDim != 0)
        {
            throw new ModelFormatException(checkpoint.Path,
                $"the number of heads cannot be inferred from a width of {width}: put a config.json beside the checkpoint");
        }

        bool image = checkpoint.Contains(prefix + (original ? "img_emb.proj.0.weight" : "condition_embedder.image_embedder.norm1.weight"));
        return new WanConfig
        {
            InChannels = Dim("patch_embedding.weight", "patch_embedding.weight", 1),
            OutChannels = Dim("head.head.weight", "proj_out.weight", 0) / WanConfig.Patch.Positions,
            Width = width,
            MlpWidth = Dim("blocks.0.ffn.0.weight", "blocks.0.ffn.net.0.proj.weight", 0),
            Heads = width / ReleasedHeadDim,
            Layers = CheckpointGeometry.Count(checkpoint, prefix + "blocks."),
            FrequencyWidth = Dim("time_embedding.0.weight", "condition_embedder.time_embedder.linear_1.weight", 1),
            TextDim = Dim("text_embedding.0.weight", "condition_embedder.text_embedder.linear_1.weight", 1),
            ImageDim = image ? Dim("img_emb.proj.0.weight", "condition_embedder.image_embedder.norm1.weight", 0) : 0,
        };
    }
}
