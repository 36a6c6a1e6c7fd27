using DiCacheNative.Models.Flux;

namespace DiCacheNative.Cli.Bench;

/// <summary>A shape to measure, with random weights.</summary>
/// <param name="Name">Name for --preset.</param>
/// <param name="Config">Geometry.</param>
/// <param name="GridHeight">Rows of latent tokens.</param>
/// <param name="GridWidth">Columns of latent tokens.</param>
/// <param name="TextTokens">Text tokens.</param>
/// <param name="Description">What it stands for.</param>
internal sealed record ModelPreset(string Name, FluxConfig Config, int GridHeight, int GridWidth, int TextTokens, string Description)
{
    public static IReadOnlyList<ModelPreset> All { get; } =
    [
        new("flux-slice", FluxConfig.Dev with { DoubleBlocks = 2, SingleBlocks = 4 }, 32, 32, 512, "FLUX.1 width, 2 double and 4 single blocks, 512x512 pixels"),
        new("flux-1024", FluxConfig.Dev, 64, 64, 512, "FLUX.1-dev, 1024x1024 pixels: 12 billion parameters"),
        new("flux-small", FluxConfig.Dev with { Heads = 4, DoubleBlocks = 2, SingleBlocks = 4 }, 16, 16, 64, "width 512, 256x256 pixels: a second on any machine"),
    ];

    public static ModelPreset Find(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new ArgumentException($"there is no preset {name}; known are {string.Join(", ", All.Select(p => p.Name))}");
}
