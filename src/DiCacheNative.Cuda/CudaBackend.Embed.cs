using DiCacheNative.Backends;
using DiCacheNative.Cuda.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Timestep embedding and patches.</content>
public sealed unsafe partial class CudaBackend
{
    /// <summary>kTimestepThreads in kernels/timestep_embed.cu.</summary>
    private const int TimestepThreads = 64;

    /// <summary>kPatchThreads in kernels/patches.cuh.</summary>
    private const int PatchThreads = 256;

    /// <inheritdoc/>
    public void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.TimestepEmbed(ActivationType, values, y);
        TimestepEmbedArgs args = new() { Values = values, Y = y, LogMaxPeriod = Math.Log(maxPeriod), Half = y.Cols / 2 };
        Geometry geometry = new(Ceiling(args.Half, TimestepThreads), y.Batch, 1, TimestepThreads);
        Launch(Enter(), _families.TimestepEmbed.For(y.Type), geometry, args);
    }

    /// <inheritdoc/>
    public void Patchify(in Tensor latents, in PatchGeometry geometry, in Tensor tokens)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: true);
        Launch(Enter(), _families.Patchify.For(latents.Type, tokens.Type), PerElement(latents), PatchesOf(latents, geometry, tokens));
    }

    /// <inheritdoc/>
    public void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: false);
        Launch(Enter(), _families.Unpatchify.For(tokens.Type, latents.Type), PerElement(latents), PatchesOf(latents, geometry, tokens));
    }

    private static Geometry PerElement(in Tensor latents) => new(Ceiling(latents.Cols, PatchThreads), latents.Batch, 1, PatchThreads);

    private static PatchArgs PatchesOf(in Tensor latents, in PatchGeometry g, in Tensor tokens) => new()
    {
        Latents = latents,
        Tokens = tokens,
        Channels = g.Channels,
        Frames = g.Frames,
        Height = g.Height,
        Width = g.Width,
        PatchFrames = g.PatchFrames,
        PatchHeight = g.PatchHeight,
        PatchWidth = g.PatchWidth,
        ChannelsFirst = AsInt(g.ChannelsFirst),
    };
}
