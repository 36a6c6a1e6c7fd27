namespace DiCacheNative.Cli.Bench;

/// <summary>The feature map of a model at a resolution, and what surrounds the probe there.</summary>
/// <param name="Name">Name for --preset.</param>
/// <param name="Tokens">Latent tokens, T.</param>
/// <param name="ContextTokens">Text tokens of the joint sequence; 0 where text comes in by cross attention.</param>
/// <param name="Width">Model width, D.</param>
/// <param name="Heads">Attention heads.</param>
/// <param name="Blocks">Blocks of the model.</param>
/// <param name="BlockFlops">Operations of one block, 2 per multiply-add.</param>
internal sealed record ProbePreset(string Name, int Tokens, int ContextTokens, int Width, int Heads, int Blocks, double BlockFlops)
{
    public static IReadOnlyList<ProbePreset> All { get; } =
    [
        Joint("flux-1024", 4096, 512, 3072, 24, 57),
        Cross("wan-1.3b-480p", 21 * 30 * 52, 1536, 8960, 12, 30),
        Cross("wan-14b-720p", 21 * 45 * 80, 5120, 13824, 40, 40),
        Joint("hunyuan-540p", 33 * 34 * 60, 256, 3072, 24, 60),
        Joint("small", 256, 64, 512, 4, 6),
    ];

    public static ProbePreset Find(string name) => All.FirstOrDefault(p => p.Name == name)
        ?? throw new ArgumentException($"there is no preset {name}; known are {string.Join(", ", All.Select(p => p.Name))}");

    // A block of joint attention: linear layers 24 D^2 per token, attention 4 L D per token.
    private static ProbePreset Joint(string name, int tokens, int context, int width, int heads, int blocks)
    {
        double length = tokens + context, d = width;
        return new ProbePreset(name, tokens, context, width, heads, blocks, (24 * d * d * length) + (4 * length * length * d));
    }

    // A block of self and cross attention (512 text tokens) with a feed-forward width of its own.
    private static ProbePreset Cross(string name, int tokens, int width, int mlp, int heads, int blocks)
    {
        double n = tokens, d = width;
        return new ProbePreset(name, tokens, 0, width, heads, blocks, (12 * n * d * d) + (4 * 512 * d * d) + (4 * n * d * mlp) + (4 * n * n * d)
            + (4 * n * 512 * d));
    }
}
