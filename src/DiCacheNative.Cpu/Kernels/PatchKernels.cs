using System.Runtime.CompilerServices;
using DiCacheNative.Backends;

namespace DiCacheNative.Cpu.Kernels;

internal struct PatchArguments
{
    internal Operand Latents, Tokens;
    internal PatchGeometry Geometry;
    internal bool ToTokens;
    internal RowTasks Tasks;
}

/// <summary>patchify and unpatchify: copies of short runs. Floor: every element read and written once.</summary>
internal static unsafe class PatchKernels
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Move(void* pointer, int task, int worker)
    {
        ref PatchArguments a = ref *(PatchArguments*)pointer;
        PatchGeometry g = a.Geometry;
        int across = g.Width / g.PatchWidth, down = g.Height / g.PatchHeight, patch = g.PatchFrames * g.PatchHeight * g.PatchWidth;

        // Distance inside a token between neighbouring elements of a patch, and between channels.
        int step = g.ChannelsFirst ? 1 : g.Channels, channel = g.ChannelsFirst ? patch : 1;
        (int start, int end) = a.Tasks.Range(task);
        for (int i = start; i < end; i++)
        {
            int t = i % a.Tasks.Rows;
            float* token = a.Tokens.Row(i / a.Tasks.Rows, t), latents = a.Latents.Row(i / a.Tasks.Rows, 0);
            int frame = t / (across * down) * g.PatchFrames, top = t / across % down * g.PatchHeight, left = t % across * g.PatchWidth;
            for (int c = 0; c < g.Channels; c++)
            {
                float* inside = token + ((long)c * channel);
                for (int pf = 0; pf < g.PatchFrames; pf++)
                {
                    float* line = latents + ((((((long)c * g.Frames) + frame + pf) * g.Height) + top) * g.Width) + left;
                    for (int py = 0; py < g.PatchHeight; py++, line += g.Width)
                    {
                        for (int px = 0; px < g.PatchWidth; px++, inside += step)
                        {
                            if (a.ToTokens)
                            {
                                *inside = line[px];
                            }
                            else
                            {
                                line[px] = *inside;
                            }
                        }
                    }
                }
            }
        }
    }
}
