using DiCacheNative.Backends;
using DiCacheNative.Cpu.Kernels;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu;

/// <content>Timestep embedding and patches.</content>
public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.TimestepEmbed(ActivationType, values, y);
        int half = y.Cols / 2;
        Operand source = Operand.Of(values), target = Operand.Of(y);
        for (int b = 0; b < y.Batch; b++)
        {
            double value = *source.Row(b, 0);
            float* row = target.Row(b, 0);
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
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: true);
        MovePatches(latents, geometry, tokens, toTokens: true);
    }

    /// <inheritdoc/>
    public void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents)
    {
        using Lifetime.Use use = _lifetime.Enter();
        OpValidation.Patchify(ActivationType, latents, geometry, tokens, toTokens: false);
        MovePatches(latents, geometry, tokens, toTokens: false);
    }

    private void MovePatches(in Tensor latents, in PatchGeometry geometry, in Tensor tokens, bool toTokens)
    {
        PatchArguments a = new()
        {
            Latents = Operand.Of(latents),
            Tokens = Operand.Of(tokens),
            Geometry = geometry,
            ToTokens = toTokens,
            Tasks = RowTasks.Of(tokens.Batch, tokens.Rows, tokens.Cols),
        };
        _team.Run(&PatchKernels.Move, &a, a.Tasks.Count);
    }
}
