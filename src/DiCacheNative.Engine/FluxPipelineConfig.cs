using DiCacheNative.Models;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>What a pipeline folder says beside its networks.</summary>
/// <param name="Scheduler">Noise levels.</param>
/// <param name="LatentChannels">Channels of a latent before packing.</param>
/// <param name="TokenPixels">Pixels per side of a latent token: 8 of the VAE times 2 of the packing.</param>
/// <param name="DefaultSize">Side of an image when none is asked for, pixels.</param>
/// <param name="DecoderScales">Whether the decoder graph undoes scaling and shift itself.</param>
/// <param name="ScalingFactor">Latent scale of the VAE.</param>
/// <param name="ShiftFactor">Latent shift of the VAE.</param>
internal sealed record FluxPipelineConfig(
    SchedulerConfig Scheduler, int LatentChannels, int TokenPixels, int DefaultSize, bool DecoderScales, float ScalingFactor, float ShiftFactor)
{
    /// <summary>Reads a pipeline folder.</summary>
    public static FluxPipelineConfig Read(string folder)
    {
        string index = Path.Combine(folder, "model_index.json");
        string name = ModelJson.Read(index).String("_class_name", "(none)");
        if (name != "FluxPipeline")
        {
            throw new ModelFormatException($"{index} describes a {name}; this version runs FluxPipeline");
        }

        string path = Path.Combine(folder, "vae", "config.json");
        ModelJson vae = ModelJson.Read(path);
        int levels = vae.Integers("block_out_channels", [128, 256, 512, 512]).Count;
        int factor = vae.Integer("downscale_factor", levels is >= 1 and <= 7 ? 1 << (levels - 1) : 0);
        Require(factor is >= 1 and <= 64, $"a downscale factor of {factor} is impossible");
        FluxPipelineConfig config = new(
            SchedulerConfig.Read(Path.Combine(folder, "scheduler", "scheduler_config.json")), vae.Integer("latent_channels", 16), 2 * factor,
            vae.Integer("sample_size", 1024), vae.Boolean("onnx_includes_scaling", false), (float)vae.Number("scaling_factor", 0.3611), (float)vae.Number("shift_factor", 0.1159));
        Require(config.LatentChannels is >= 1 and <= 4096, $"latent_channels is {config.LatentChannels}, which is impossible");
        Require(
            config.DefaultSize is >= 1 and <= RequestRules.LargestSide && config.DefaultSize % config.TokenPixels == 0,
            $"sample_size is {config.DefaultSize}, which is no multiple of {config.TokenPixels} from {config.TokenPixels} to {RequestRules.LargestSide}");
        Require(
            float.IsNormal(config.ScalingFactor) && float.IsFinite(config.ShiftFactor),
            $"scaling_factor {config.ScalingFactor} and shift_factor {config.ShiftFactor} cannot be undone");
        return config;

        void Require(bool condition, string what)
        {
            if (!condition)
            {
                throw new ModelFormatException(path, what);
            }
        }
    }
}
