using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>A model at a resolution, to measure with random weights or to plan without any.</summary>
/// <param name="Name">Name for --preset.</param>
/// <param name="Description">What it stands for.</param>
/// <param name="Load">Makes random weights on a backend.</param>
/// <param name="Plan">Memory with activations of a type and a cache.</param>
internal sealed record ModelPreset(string Name, string Description, Func<IBackend, PresetModel> Load, Func<DType, ICachePolicy, MemoryPlan> Plan)
{
    /// <summary>Most blocks of a preset.</summary>
    public const int MostBlocks = 1000;

    /// <summary>Most frames of a preset: those that a request may have.</summary>
    public const int MostFrames = 4097;

    // 81 and 129 frames, as the released models are used.
    private const int WanFrames = 81;
    private const int HunyuanFrames = 129;

    private static readonly Dictionary<string, Func<string, int?, int?, ModelPreset>> s_all = new()
    {
        ["flux-slice"] = (name, blocks, frames) => Flux(
            name, "FLUX.1 width, 512x512 pixels", Cut(FluxConfig.Dev, blocks ?? 6), 32, 512, frames),
        ["flux-1024"] = (name, blocks, frames) => Flux(
            name, "FLUX.1-dev, 1024x1024 pixels", blocks is { } b ? Cut(FluxConfig.Dev, b) : FluxConfig.Dev, 64, 512, frames),
        ["flux-small"] = (name, blocks, frames) => Flux(
            name, "width 512, 256x256 pixels: a second on any machine", Cut(FluxConfig.Dev with { Heads = 4 }, blocks ?? 6), 16, 64, frames),
        ["wan-1.3b-480p"] = (name, blocks, frames) => Wan(name, "WAN 2.1 1.3B, 832x480 pixels", WanConfig.TextToVideo1B, blocks, frames, 480, 832),
        ["wan-14b-480p"] = (name, blocks, frames) => Wan(name, "WAN 2.1 14B, 832x480 pixels", WanConfig.TextToVideo14B, blocks, frames, 480, 832),
        ["wan-14b-720p"] = (name, blocks, frames) => Wan(name, "WAN 2.1 14B, 1280x720 pixels", WanConfig.TextToVideo14B, blocks, frames, 720, 1280),
        ["hunyuan-540p"] = (name, blocks, frames) => Hunyuan(name, "HunyuanVideo, 960x544 pixels", blocks, frames, 544, 960),
        ["hunyuan-720p"] = (name, blocks, frames) => Hunyuan(name, "HunyuanVideo, 1280x720 pixels", blocks, frames, 720, 1280),
    };

    /// <summary>Names of all presets.</summary>
    public static IReadOnlyCollection<string> Names => s_all.Keys;

    /// <summary>Makes a preset.</summary>
    /// <param name="name">One of <see cref="Names"/>.</param>
    /// <param name="blocks">Blocks to keep; null for all. A joint model keeps a third of them as double blocks.</param>
    /// <param name="frames">Video frames, 4 n + 1; null for those of the released model.</param>
    /// <exception cref="ArgumentException">There is none of that name, or none of that many frames.</exception>
    public static ModelPreset Find(string name, int? blocks = null, int? frames = null) =>
        s_all.TryGetValue(name, out Func<string, int?, int?, ModelPreset>? make)
        ? make(name, blocks, frames)
        : throw new ArgumentException($"there is no preset {name}; known are {string.Join(", ", Names)}");

    private static FluxConfig Cut(FluxConfig config, int blocks) =>
        config with { DoubleBlocks = Math.Max(1, blocks / 3), SingleBlocks = blocks - Math.Max(1, blocks / 3) };

    private static ModelPreset Flux(string name, string description, FluxConfig config, int grid, int text, int? frames)
    {
        if (frames is not null)
        {
            throw new ArgumentException($"--video-frames has no meaning with {name}, which makes images");
        }

        FluxShape shape = new(1, grid, grid, text);
        return new ModelPreset(
            name, $"{description}, {config.DoubleBlocks + config.SingleBlocks} blocks",
            backend =>
            {
                FluxModel model = FluxModel.Random(backend, config);
                return new PresetModel(model, (steps, on) =>
                {
                    FluxProgram program = model.CreateProgram(shape with { MaxSteps = steps }, on);
                    program.SetConditions(0, PresetModel.Noise((long)text * config.JointDim), PresetModel.Noise(config.PooledDim), [3.5f]);
                    return program;
                });
            },
            (type, policy) => FluxModel.Plan(config, shape, policy, new SessionOptions(), type));
    }

    private static ModelPreset Wan(string name, string description, WanConfig config, int? blocks, int? frames, int height, int width)
    {
        config = config with { Layers = blocks ?? config.Layers };
        WanShape shape = new(LatentSize.OfVideo(frames ?? WanFrames, height, width));
        string what = $"{description}, {frames ?? WanFrames} frames, {config.Layers} blocks";
        return new ModelPreset(
            name, what,
            backend =>
            {
                WanModel model = WanModel.Random(backend, config);
                return new PresetModel(model, (steps, on) =>
                {
                    WanProgram program = model.CreateProgram(shape with { MaxSteps = steps }, on);
                    program.SetConditions(0, new WanConditions { Text = PresetModel.Noise((long)config.TextTokens * config.TextDim) });
                    return program;
                });
            },
            (type, policy) => WanModel.Plan(config, shape with { Slots = 2 }, policy, new SessionOptions { Branches = 2 }, type));
    }

    private static ModelPreset Hunyuan(string name, string description, int? blocks, int? frames, int height, int width)
    {
        HunyuanConfig released = HunyuanConfig.TextToVideo;
        HunyuanConfig config = blocks is { } b ? released with { DoubleBlocks = Math.Max(1, b / 3), SingleBlocks = b - Math.Max(1, b / 3) } : released;
        HunyuanShape shape = new(LatentSize.OfVideo(frames ?? HunyuanFrames, height, width));
        string what = $"{description}, {frames ?? HunyuanFrames} frames, {config.DoubleBlocks + config.SingleBlocks} blocks";
        return new ModelPreset(
            name, what,
            backend =>
            {
                HunyuanModel model = HunyuanModel.Random(backend, config);
                return new PresetModel(model, (steps, on) =>
                {
                    HunyuanProgram program = model.CreateProgram(shape with { MaxSteps = steps }, on);
                    program.SetConditions(
                        0, new HunyuanConditions
                        {
                            Text = PresetModel.Noise((long)shape.TextTokens * config.TextDim),
                            Pooled = PresetModel.Noise(config.PooledDim)
                        });
                    return program;
                });
            },
            (type, policy) => HunyuanModel.Plan(config, shape, policy, new SessionOptions(), type));
    }
}
