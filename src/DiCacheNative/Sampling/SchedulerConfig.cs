using DiCacheNative.Models;

namespace DiCacheNative.Sampling;

/// <summary>What a <c>scheduler_config.json</c> of diffusers says about flow matching. Defaults are those of diffusers.</summary>
public sealed record SchedulerConfig
{
    private static readonly string[] Unsupported =
        ["use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "invert_sigmas", "stochastic_sampling"];

    /// <summary>Most noise levels in training; released models have 1000.</summary>
    internal const int MostTimesteps = 1_000_000;

    /// <summary>Name of the scheduler class, as in "FlowMatchEulerDiscreteScheduler"; empty when the file does not give it.</summary>
    public string ClassName { get; init; } = "";

    /// <summary>Shift of the noise levels towards noise, s t / (1 + (s - 1) t); 1 for none. Not used with dynamic shifting.</summary>
    public double Shift { get; init; } = 1;

    /// <summary>Whether the shift depends on the number of image tokens.</summary>
    public bool UseDynamicShifting { get; init; }

    /// <summary>The exponent mu at <see cref="BaseImageTokens"/>.</summary>
    public double BaseShift { get; init; } = 0.5;

    /// <summary>The exponent mu at <see cref="MaxImageTokens"/>.</summary>
    public double MaxShift { get; init; } = 1.15;

    /// <summary>Number of image tokens at which mu is <see cref="BaseShift"/>.</summary>
    public int BaseImageTokens { get; init; } = 256;

    /// <summary>Number of image tokens at which mu is <see cref="MaxShift"/>.</summary>
    public int MaxImageTokens { get; init; } = 4096;

    /// <summary>Number of noise levels in training: the timestep of noise level 1.</summary>
    public int TrainTimesteps { get; init; } = 1000;

    /// <summary>Reads a file. Keys that are missing keep their default.</summary>
    /// <param name="path">A scheduler_config.json.</param>
    /// <exception cref="ModelFormatException">
    /// The file cannot be read, a value is of the wrong kind or out of range, or it asks for a schedule that is not supported.
    /// </exception>
    public static SchedulerConfig Read(string path)
    {
        ModelJson json = ModelJson.Read(path);
        SchedulerConfig defaults = new();
        SchedulerConfig config = new()
        {
            ClassName = json.String("_class_name", ""),
            Shift = json.Number("shift", json.Number("flow_shift", defaults.Shift)),
            UseDynamicShifting = json.Boolean("use_dynamic_shifting", false),
            BaseShift = json.Number("base_shift", defaults.BaseShift),
            MaxShift = json.Number("max_shift", defaults.MaxShift),
            BaseImageTokens = json.Integer("base_image_seq_len", defaults.BaseImageTokens),
            MaxImageTokens = json.Integer("max_image_seq_len", defaults.MaxImageTokens),
            TrainTimesteps = json.Integer("num_train_timesteps", defaults.TrainTimesteps),
        };
        foreach (string key in Unsupported)
        {
            Require(!json.Boolean(key, false), path, $"\"{key}\" is not supported");
        }

        Require(!json.Has("shift_terminal"), path, "\"shift_terminal\" is not supported");
        string curve = json.String("time_shift_type", "exponential");
        Require(curve == "exponential", path, "only the time_shift_type \"exponential\" is supported");
        Require(config.Shift is > 0 and < 1000, path, $"\"shift\" must be positive and below 1000, not {config.Shift}");
        Require(config.TrainTimesteps is >= 2 and <= MostTimesteps, path, $"\"num_train_timesteps\" must be at least 2 and at most {MostTimesteps}");
        Require(Math.Abs(config.BaseShift) < 50 && Math.Abs(config.MaxShift) < 50, path, "\"base_shift\" and \"max_shift\" must lie between -50 and 50");
        Require(config.BaseImageTokens >= 0, path, "\"base_image_seq_len\" must not be negative");
        Require(config.MaxImageTokens > config.BaseImageTokens, path, "\"max_image_seq_len\" must be above \"base_image_seq_len\"");
        return config;
    }

    /// <summary>The exponent of the dynamic shift: a straight line through the two points above, and beyond them.</summary>
    /// <param name="imageTokens">Tokens of the picture as the transformer sees them: (height / 16) (width / 16) for FLUX.</param>
    public double Mu(int imageTokens)
    {
        double slope = (MaxShift - BaseShift) / (MaxImageTokens - BaseImageTokens);
        return (imageTokens * slope) + (BaseShift - (slope * BaseImageTokens));
    }

    private static void Require(bool condition, string path, string problem)
    {
        if (!condition)
        {
            throw new ModelFormatException(path, problem);
        }
    }
}
