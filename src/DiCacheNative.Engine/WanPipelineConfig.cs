using DiCacheNative.Models;
using DiCacheNative.Sampling;

namespace DiCacheNative;

/// <summary>What a WAN folder says beside its networks.</summary>
internal sealed record WanPipelineConfig
{
    /// <summary>Channels of a latent.</summary>
    public const int LatentChannels = 16;

    private const double MostFps = 1000;

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

    /// <summary>Working memory of the decoder for each pixel of each frame of a tile; see <see cref="MemoryPlan"/>.</summary>
    public required double DecoderBytesPerPixel { get; init; }

    /// <summary>
    /// Reads a folder: of diffusers (model_index.json, transformer and scheduler in folders of their own), or with the transformer in the
    /// folder itself. sampling.json has the recommended settings; those of WAN 2.1 14B at 480p hold where it is missing.
    /// </summary>
    /// <exception cref="ModelFormatException">A file is missing or broken, or a value impossible.</exception>
    public static WanPipelineConfig Read(PipelineFolder folder)
    {
        string diffusers = Path.Combine(folder.Path, "scheduler", "scheduler_config.json"), sampling = Path.Combine(folder.Path, PipelineFolder.Sampling);
        SchedulerConfig scheduler = File.Exists(diffusers) ? SchedulerConfig.Read(diffusers) : new SchedulerConfig { Shift = 5 };
        if (scheduler.UseDynamicShifting)
        {
            throw new ModelFormatException(diffusers, "\"use_dynamic_shifting\" is true; WAN is sampled with a shift that does not depend on the size");
        }

        string ownTransformer = Path.Combine(folder.Path, "transformer");
        string vae = Path.Combine(folder.Path, "vae", "config.json");
        WanPipelineConfig config = new()
        {
            Transformer = folder.Transformer ?? (Directory.Exists(ownTransformer) ? ownTransformer : folder.Path),
            Scheduler = scheduler,
            Method = scheduler.Method ?? SamplingMethod.UniPc,
            Steps = 50,
            CfgScale = 5,
            NegativePrompt = string.Empty,
            Video = new LatentSize(81, 480, 832),
            Fps = 16,
            Normalization = ReadNormalization(vae),
            DecoderBytesPerPixel = ReadDecoderBytes(vae),
        };
        return File.Exists(sampling) ? config.With(sampling) : config;
    }

    private WanPipelineConfig With(string path)
    {
        ModelJson json = ModelJson.Read(path);
        string prediction = json.String("prediction_type", "flow_prediction");
        WanPipelineConfig config = this with
        {
            Scheduler = Scheduler with
            {
                Shift = json.Number("shift", Scheduler.Shift),
                TrainTimesteps = json.Integer("num_train_timesteps", Scheduler.TrainTimesteps)
            },
            Steps = json.Integer("steps", Steps),
            CfgScale = (float)json.Number("guidance", CfgScale),
            NegativePrompt = json.String("negative_prompt", NegativePrompt),
            Video = new LatentSize(json.Integer("frames", Video.Frames), json.Integer("height", Video.Height), json.Integer("width", Video.Width)),
            Fps = json.Number("fps", Fps),
        };
        void Require(bool condition, string problem)
        {
            if (!condition)
            {
                throw new ModelFormatException(path, problem);
            }
        }

        (LatentSize video, double guidance) = (config.Video, json.Number("guidance", CfgScale));
        Require(prediction == "flow_prediction", $"the prediction_type is {prediction}; a WAN model has flow_prediction");
        config.Scheduler.CheckRanges(path);
        Require(config.Steps is >= 1 and <= RequestRules.MostSteps, $"\"steps\" must be between 1 and {RequestRules.MostSteps}, not {config.Steps}");
        Require(Math.Abs(guidance) <= RequestRules.LargestGuidance,
            $"\"guidance\" must lie between -{RequestRules.LargestGuidance} and {RequestRules.LargestGuidance}, not {guidance}");
        Require(video.Frames is >= 1 and <= RequestRules.MostFrames && video.Frames % 4 == 1,
            $"\"frames\" must be 4 n + 1, up to {RequestRules.MostFrames}, not {video.Frames}");
        Require(IsSide(video.Height), $"\"height\" must be a multiple of 16 up to {RequestRules.LargestSide}, not {video.Height}");
        Require(IsSide(video.Width), $"\"width\" must be a multiple of 16 up to {RequestRules.LargestSide}, not {video.Width}");
        Require(config.Fps is > 0 and <= MostFps, $"\"fps\" must be above 0 and at most {MostFps}, not {config.Fps}");
        return json.Strings("solvers", []) is [var first, ..] ? config with { Method = MethodOf(path, first) } : config;
    }

    private static bool IsSide(int pixels) => pixels > 0 && pixels <= RequestRules.LargestSide && pixels % 16 == 0;

    // The first solver that the file names is the recommended one.
    private static SamplingMethod MethodOf(string path, string solver) => solver switch
    {
        "unipc" => SamplingMethod.UniPc,
        "dpm++" => SamplingMethod.DpmPlusPlus,
        "euler" => SamplingMethod.Euler,
        _ => throw new ModelFormatException(path, $"\"solvers\" begins with {solver}; this engine has unipc, dpm++ and euler"),
    };

    // Released: 96 channels at full size, which come from 192.
    private static double ReadDecoderBytes(string path)
    {
        ModelJson vae = ModelJson.Read(path);
        double bytes = vae.Number("decoder_bytes_per_pixel", 8.0 * 3 * vae.Integer("base_dim", 96));
        return bytes is > 0 and <= 1e6 ? bytes : throw new ModelFormatException(path, $"decoder_bytes_per_pixel must be above 0 and at most 1e6, not {bytes}");
    }

    private static (IReadOnlyList<double> Mean, IReadOnlyList<double> Std)? ReadNormalization(string path)
    {
        ModelJson vae = ModelJson.Read(path);
        if (vae.Boolean("onnx_includes_scaling", false))
        {
            return null;
        }

        IReadOnlyList<double> mean = vae.Numbers("latents_mean", []), std = vae.Numbers("latents_std", []);
        if (mean.Count != LatentChannels || std.Count != LatentChannels)
        {
            throw new ModelFormatException(path,
                $"latents_mean and latents_std must have {LatentChannels} numbers each, or onnx_includes_scaling must be true");
        }

        bool possible = mean.All(m => Math.Abs(m) < 1e6) && std.All(s => s is > 1e-6 and < 1e6);
        return possible ? (mean, std) : throw new ModelFormatException(path, "latents_mean must lie between -1e6 and 1e6, latents_std between 1e-6 and 1e6");
    }
}
