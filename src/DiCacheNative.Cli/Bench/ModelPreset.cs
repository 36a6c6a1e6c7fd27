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
/// <param name="Plan">Memory with activations of a type and a cache; null where the model cannot tell it beforehand.</param>
internal sealed record ModelPreset(string Name, string Description, Func<IBackend, PresetModel> Load, Func<DType, ICachePolicy, MemoryPlan>? Plan = null)
{
    // 81 and 129 frames, as the released models are used.
    private const int WanFrames = 81;
    private const int HunyuanFrames = 129;

    /// <summary>All presets, with their full number of blocks and frames unless others are asked for.</summary>
    /// <param name="blocks">Blocks to keep; null for all. A joint model keeps a third of them as double blocks.</param>
    /// <param name="frames">Video frames, 4 n + 1; null for those of the released model.</param>
    public static IReadOnlyList<ModelPreset> All(int? blocks = null, int? frames = null) =>
    [
        Flux("flux-slice", "FLUX.1 width, 2 double and 4 single blocks, 512x512 pixels", Cut(FluxConfig.Dev, blocks ?? 6), 32, 512),
        Flux("flux-1024", "FLUX.1-dev, 1024x1024 pixels", blocks is { } b ? Cut(FluxConfig.Dev, b) : FluxConfig.Dev, 64, 512),
        Flux("flux-small", "width 512, 256x256 pixels: a second on any machine", Cut(FluxConfig.Dev with { Heads = 4 }, blocks ?? 6), 16, 64),
        Wan("wan-1.3b-480p", "WAN 2.1 1.3B, 832x480 pixels", WanConfig.TextToVideo1B, blocks, frames, 480, 832),
        Wan("wan-14b-480p", "WAN 2.1 14B, 832x480 pixels", WanConfig.TextToVideo14B, blocks, frames, 480, 832),
        Wan("wan-14b-720p", "WAN 2.1 14B, 1280x720 pixels", WanConfig.TextToVideo14B, blocks, frames, 720, 1280),
        Hunyuan("hunyuan-540p", "HunyuanVideo, 960x544 pixels", blocks, frames, 544, 960),
        Hunyuan("hunyuan-720p", "HunyuanVideo, 1280x720 pixels", blocks, frames, 720, 1280),
    ];

    /// <summary>Finds a preset.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static ModelPreset Find(string name, int? blocks = null, int? frames = null)
    {
        IReadOnlyList<ModelPreset> all = All(blocks, frames);
        return all.FirstOrDefault(p => p.Name == name) ?? throw new ArgumentException($"there is no preset {name}; known are {string.Join(", ", all.Select(p => p.Name))}");
    }

    private static FluxConfig Cut(FluxConfig config, int blocks) => config with { DoubleBlocks = Math.Max(1, blocks / 3), SingleBlocks = blocks - Math.Max(1, blocks / 3) };

    private static ModelPreset Flux(string name, string description, FluxConfig config, int grid, int text) => new(name, description, backend =>
    {
        FluxModel model = FluxModel.Random(backend, config);
        return new PresetModel(model, (steps, on) =>
        {
            FluxProgram program = model.CreateProgram(new FluxShape(1, grid, grid, text, MaxSteps: steps), on);
            program.SetConditions(0, PresetModel.Noise((long)text * config.JointDim), PresetModel.Noise(config.PooledDim), [3.5f]);
            return program;
        });
    });

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
                        0, new HunyuanConditions { Text = PresetModel.Noise((long)shape.TextTokens * config.TextDim), Pooled = PresetModel.Noise(config.PooledDim) });
                    return program;
                });
            },
            (type, policy) => HunyuanModel.Plan(config, shape, policy, new SessionOptions(), type));
    }
}
