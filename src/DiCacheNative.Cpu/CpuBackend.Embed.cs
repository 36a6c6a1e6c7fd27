using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Timestep embedding and patches.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f)
    {
        OpValidation.TimestepEmbed(ActivationType, values, y);
        int half = y.Cols / 2;
        for (int b = 0; b < y.Batch; b++)
        {
            double value = *Row(values, b, 0);
            float* row = Row(y, b, 0);
            for (int i = 0; i < half; i++)
            {
                (double sin, double cos) = Math.SinCos(value * Math.Exp(-Math.Log(maxPeriod) * i / half));
                (row[i], row[half + i]) = ((float)cos, (float)sin);
            }
        }
    }

    /// <inheritdoc/>
    public void Patchify(in Tensor latents, in PatchGeometry geometry, in Tensor tokens)
    {
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: true);
        MovePatches(latents, geometry, tokens, toTokens: true);
    }

    /// <inheritdoc/>
    public void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents)
    {
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: false);
        MovePatches(latents, geometry, tokens, toTokens: false);
    }

    private static void MovePatches(in Tensor latents, in PatchGeometry g, in Tensor tokens, bool toTokens)
    {
        int across = g.Width / g.PatchWidth, down = g.Height / g.PatchHeight;
        for (int b = 0; b < latents.Batch; b++)
        {
            for (int t = 0; t < g.Tokens; t++)
            {
                float* token = Row(tokens, b, t);
                int frame = t / (across * down) * g.PatchFrames, top = t / across % down * g.PatchHeight, left = t % across * g.PatchWidth;
                for (int i = 0; i < g.TokenWidth; i++)
                {
                    int patch = g.PatchFrames * g.PatchHeight * g.PatchWidth;
                    int c = g.ChannelsFirst ? i / patch : i % g.Channels, inside = g.ChannelsFirst ? i % patch : i / g.Channels;
                    int pf = inside / (g.PatchHeight * g.PatchWidth), py = inside / g.PatchWidth % g.PatchHeight, px = inside % g.PatchWidth;
                    float* latent = Row(latents, b, 0) + ((((((long)c * g.Frames) + frame + pf) * g.Height) + top + py) * g.Width) + left + px;
                    if (toTokens)
                    {
                        token[i] = *latent;
                    }
                    else
                    {
                        *latent = token[i];
                    }
                }
            }
        }
    }
}
