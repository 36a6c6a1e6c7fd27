using DiCacheNative.Models;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>What a WAN folder says beside its networks.</summary>
internal sealed record WanPipelineConfig
{
    /// <summary>Channels of a latent.</summary>
    public const int LatentChannels = 16;

    /// <summary>File or folder of the transformer.</summary>
    public required string Transformer { get; init; }

    /// <summary>Number of noise levels in training, and shift of the levels.</summary>
    public required SchedulerConfig Scheduler { get; init; }

    /// <summary>Solver when none is asked for.</summary>
    public required SamplingMethod Method { get; init; }

    /// <summary>Steps when none are asked for.</summary>
    public required int Steps { get; init; }

    /// <summary>Guidance when none is asked for.</summary>
    public required float CfgScale { get; init; }

    /// <summary>Negative prompt when none is given.</summary>
    public required string NegativePrompt { get; init; }

    /// <summary>Size of a video when none is asked for: frames, rows, columns.</summary>
    public required LatentSize Video { get; init; }

    /// <summary>Frames per second.</summary>
    public required double Fps { get; init; }

    /// <summary>Mean and standard deviation of every latent channel, to be undone before decoding; null when the decoder graph does it.</summary>
    public required (IReadOnlyList<double> Mean, IReadOnlyList<double> Std)? Normalization { get; init; }

    /// <summary>
    /// Reads a folder: of diffusers (model_index.json, transformer and scheduler in folders of their own), or with the transformer in the
    /// folder itself. sampling.json has the recommended settings; those of WAN 2.1 14B at 480p hold where it is missing.
    /// </summary>
    /// <exception cref="ModelFormatException">A file is missing or broken, or a value impossible.</exception>
    public static WanPipelineConfig Read(PipelineFolder folder)
    {
        string diffusers = Path.Combine(folder.Path, "scheduler", "scheduler_config.json"), sampling = Path.Combine(folder.Path, PipelineFolder.Sampling);
        SchedulerConfig scheduler = File.Exists(diffusers) ? SchedulerConfig.Read(diffusers) : new SchedulerConfig { Shift = 5 };
        string ownTransformer = Path.Combine(folder.Path, "transformer");
        WanPipelineConfig config = new()
        {
            Transformer = folder.Transformer ?? (Directory.Exists(ownTransformer) ? ownTransformer : folder.Path),
            Scheduler = scheduler with { UseDynamicShifting = false },
            Method = SamplingMethod.UniPc,
            Steps = 50,
            CfgScale = 5,
            NegativePrompt = string.Empty,
            Video = new LatentSize(81, 480, 832),
            Fps = 16,
            Normalization = ReadNormalization(Path.Combine(folder.Path, "vae", "config.json")),
        };
        return File.Exists(sampling) ? config.With(sampling) : config;
    }

    private WanPipelineConfig With(string path)
    {
        ModelJson json = ModelJson.Read(path);
        string prediction = json.String("prediction_type", "flow_prediction");
        WanPipelineConfig config = this with
        {
            Scheduler = Scheduler with { Shift = json.Number("shift", Scheduler.Shift), TrainTimesteps = json.Integer("num_train_timesteps", Scheduler.TrainTimesteps) },
            Steps = json.Integer("steps", Steps),
            CfgScale = (float)json.Number("guidance", CfgScale),
            NegativePrompt = json.String("negative_prompt", NegativePrompt),
            Video = new LatentSize(json.Integer("frames", Video.Frames), json.Integer("height", Video.Height), json.Integer("width", Video.Width)),
            Fps = json.Number("fps", Fps),
        };
        bool possible = config.Scheduler is { Shift: > 0 and < 1000, TrainTimesteps: >= 2 and <= SchedulerConfig.MostTimesteps }
            && config.Steps is >= 1 and <= RequestRules.MostSteps && config.Fps is > 0 and <= 1000 && float.IsFinite(config.CfgScale)
            && config.Video is { Frames: > 0 and <= RequestRules.MostFrames, Height: > 0 and <= RequestRules.LargestSide, Width: > 0 and <= RequestRules.LargestSide } v
            && v.Frames % 4 == 1 && v.Height % 16 == 0 && v.Width % 16 == 0;
        return prediction != "flow_prediction" ? throw new ModelFormatException($"{path}: the prediction_type is {prediction}; a WAN model has flow_prediction")
            : possible ? config : throw new ModelFormatException(
                $"{path}: shift, steps, fps and guidance must be positive numbers of a usual size, frames 4 n + 1, height and width multiples of 16 up to {RequestRules.LargestSide}");
    }

    private static (IReadOnlyList<double> Mean, IReadOnlyList<double> Std)? ReadNormalization(string path)
    {
        ModelJson vae = ModelJson.Read(path);
        if (vae.Boolean("onnx_includes_scaling", false))
        {
            return null;
        }

        IReadOnlyList<double> mean = vae.Numbers("latents_mean", []), std = vae.Numbers("latents_std", []);
        bool fits = mean.Count == LatentChannels && std.Count == LatentChannels && mean.Concat(std).All(v => Math.Abs(v) < 1e6) && !std.Contains(0);
        return fits ? (mean, std) : throw new ModelFormatException(
            $"{path}: latents_mean and latents_std must have {LatentChannels} numbers each, none of latents_std zero, or onnx_includes_scaling must be true");
    }
}
