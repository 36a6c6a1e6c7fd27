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
/// <param name="DecoderBytesPerPixel">Working memory of the decoder for each pixel; see <see cref="MemoryPlan"/>.</param>
internal sealed record FluxPipelineConfig(
    SchedulerConfig Scheduler, int LatentChannels, int TokenPixels, int DefaultSize, bool DecoderScales, float ScalingFactor, float ShiftFactor,
    double DecoderBytesPerPixel)
{
    /// <summary>FLUX cuts latents into 2x2 patches before the transformer sees them.</summary>
    public const int Patch = 2;

    /// <summary>Reads a pipeline folder.</summary>
    /// <exception cref="ModelFormatException">A file is missing or broken, a value impossible, or the schedule one that FLUX is not sampled with.</exception>
    public static FluxPipelineConfig Read(string folder)
    {
        string schedule = Path.Combine(folder, "scheduler", "scheduler_config.json"), path = Path.Combine(folder, "vae", "config.json");
        SchedulerConfig scheduler = SchedulerConfig.Read(schedule);
        if (scheduler.Method is not (null or SamplingMethod.Euler))
        {
            throw new ModelFormatException(schedule,
                $"\"_class_name\" is {scheduler.ClassName}; FLUX is sampled with FlowMatchEulerDiscreteScheduler and no other");
        }

        ModelJson vae = ModelJson.Read(path);
        void Require(bool condition, string problem)
        {
            if (!condition)
            {
                throw new ModelFormatException(path, problem);
            }
        }

        IReadOnlyList<int> widths = vae.Integers("block_out_channels", [128, 256, 512, 512]);
        int levels = widths.Count;
        Require(levels is >= 1 and <= 7, $"\"block_out_channels\" has {levels} entries, where 1 to 7 are possible");
        int factor = vae.Integer("downscale_factor", 1 << (levels - 1)), channels = vae.Integer("latent_channels", 16), size = vae.Integer("sample_size", 1024);
        double scale = vae.Number("scaling_factor", 0.3611), shift = vae.Number("shift_factor", 0.1159);
        int tokenPixels = Patch * factor;
        Require(factor is >= 1 and <= 64, $"\"downscale_factor\" must be between 1 and 64, not {factor}");
        Require(channels is >= 1 and <= 1024, $"\"latent_channels\" must be between 1 and 1024, not {channels}");
        Require(
            size >= 1 && size <= RequestRules.LargestSide && size % tokenPixels == 0,
            $"\"sample_size\" must be a multiple of {tokenPixels} up to {RequestRules.LargestSide}, not {size}");
        Require(scale is > 1e-6 and < 1e6, $"\"scaling_factor\" must be a positive number between 1e-6 and 1e6, not {scale}");
        Require(Math.Abs(shift) < 1e6, $"\"shift_factor\" must lie between -1e6 and 1e6, not {shift}");
        Require(widths.All(w => w is >= 1 and <= 65536), "\"block_out_channels\" must lie between 1 and 65536");
        double bytes = vae.Number("decoder_bytes_per_pixel", 8.0 * widths.Order().Take(2).Sum());
        Require(bytes is > 0 and <= 1e6, $"\"decoder_bytes_per_pixel\" must be above 0 and at most 1e6, not {bytes}");
        return new FluxPipelineConfig(scheduler, channels, tokenPixels, size, vae.Boolean("onnx_includes_scaling", false), (float)scale, (float)shift, bytes);
    }

    /// <summary>Refuses parts that do not belong together: a transformer or a decoder of other latents.</summary>
    /// <param name="tokenChannels">Channels of a token at the transformer's input.</param>
    /// <param name="decoderChannels">Channels of the latents that the decoder takes; null when it does not say.</param>
    /// <param name="folder">The pipeline.</param>
    /// <exception cref="ModelFormatException">They do not fit.</exception>
    public void RequireOneModel(int tokenChannels, int? decoderChannels, string folder)
    {
        int decoder = decoderChannels ?? LatentChannels;
        if (tokenChannels != Patch * Patch * LatentChannels || decoder != LatentChannels)
        {
            throw new ModelFormatException(
                $"the VAE of {folder} has latents of {LatentChannels} channels, its decoder takes {decoder}, "
                + $"and the transformer takes patches of {tokenChannels} values: they are not of one model");
        }
    }
}
