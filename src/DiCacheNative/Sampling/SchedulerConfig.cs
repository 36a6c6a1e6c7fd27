using DiCacheNative.Models;

namespace DiCacheNative.Sampling;

/// <summary>
/// What a <c>scheduler_config.json</c> of diffusers says about flow matching. Defaults are those of diffusers. What the file asks for is obeyed or refused: a
/// class or a setting that this engine does not have is an error that names it.
/// </summary>
public sealed record SchedulerConfig
{
    /// <summary>Shifts lie in [<see cref="SmallestShift"/>, <see cref="LargestShift"/>): beyond, all noise levels fall together and are no numbers any
    /// more.</summary>
    internal const float SmallestShift = 0.001f;

    /// <summary>The other end.</summary>
    internal const float LargestShift = 1000;

    // Settings that this engine has in one way only, with that way as JSON. A key that is missing or null is as here.
    private static readonly (string Key, string Value)[] s_common =
    [
        ("use_karras_sigmas", "false"), ("use_exponential_sigmas", "false"), ("use_beta_sigmas", "false"), ("invert_sigmas", "false"),
            ("stochastic_sampling", "false"),
        ("shift_terminal", "null"), ("time_shift_type", "\"exponential\""), ("prediction_type", "\"flow_prediction\""),
    ];

    private static readonly (string Key, string Value)[] s_multistep =
    [
        ("use_flow_sigmas", "true"), ("use_dynamic_shifting", "false"), ("solver_order", "2"), ("lower_order_final", "true"),
            ("final_sigmas_type", "\"zero\""), ("thresholding", "false"),
        ("rescale_betas_zero_snr", "false"),
    ];

    private static readonly (string Key, string Value)[] s_uniPc =
        [("solver_type", "\"bh2\""), ("predict_x0", "true"), ("solver_p", "null"), ("disable_corrector", "[]")];

    private static readonly (string Key, string Value)[] s_dpm =
    [
        ("solver_type", "\"midpoint\""), ("algorithm_type", "\"dpmsolver++\""), ("euler_at_final", "false"), ("use_lu_lambdas", "false"),
            ("variance_type", "null"),
    ];

    /// <summary>Most noise levels in training; released models have 1000.</summary>
    internal const int MostTimesteps = 1_000_000;

    /// <summary>Name of the scheduler class, as in "FlowMatchEulerDiscreteScheduler"; empty when the file does not give it.</summary>
    public string ClassName { get; init; } = "";

    /// <summary>The solver of the class; null when the file does not give it.</summary>
    /// <exception cref="ModelFormatException">This engine does not have the class.</exception>
    public SamplingMethod? Method => ClassName switch
    {
        "" => null,
        "FlowMatchEulerDiscreteScheduler" => SamplingMethod.Euler,
        "UniPCMultistepScheduler" or "FlowUniPCMultistepScheduler" => SamplingMethod.UniPc,
        "DPMSolverMultistepScheduler" or "FlowDPMSolverMultistepScheduler" => SamplingMethod.DpmPlusPlus,
        _ => throw new ModelFormatException(
            $"\"_class_name\" is {ClassName}, which this engine does not have; it has FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler and "
                + $"DPMSolverMultistepScheduler"),
    };

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

    // exp(500) is 1e217. Released models come to 179 for the largest picture.
    private const double LargestMu = 500;

    // 2048 x 2048 pixels of FLUX.
    private const int LargeImageTokens = 16384;

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
        config.CheckSettings(json, path);
        config.CheckRanges(path);
        return config;
    }

    /// <summary>Refuses numbers that no schedule can be made of.</summary>
    /// <param name="path">The file they come from.</param>
    /// <exception cref="ModelFormatException">A number is out of range.</exception>
    public void CheckRanges(string path)
    {
        Require(Shift >= SmallestShift && Shift < LargestShift, path,
            $"\"shift\" must be positive and below {LargestShift}, at least {SmallestShift}, not {Shift}");
        Require(TrainTimesteps is >= 2 and <= MostTimesteps, path,
            $"\"num_train_timesteps\" must be at least 2 and at most {MostTimesteps}, not {TrainTimesteps}");
        Require(BaseImageTokens >= 0, path, "\"base_image_seq_len\" must not be negative");
        Require(MaxImageTokens > BaseImageTokens, path, "\"max_image_seq_len\" must be above \"base_image_seq_len\"");
        Require(Math.Abs(BaseShift) <= 20 && Math.Abs(MaxShift) <= 20, path,
            "\"base_shift\" and \"max_shift\", which are exponents, must lie between -20 and 20");
        Require(
            Math.Abs(Line(1)) <= LargestMu && Math.Abs(Line(LargeImageTokens)) <= LargestMu, path,
            $"\"base_image_seq_len\" {BaseImageTokens} and \"max_image_seq_len\" {MaxImageTokens} lie too close together for a shift from {BaseShift} to "
                + $"{MaxShift}");
    }

    /// <summary>The exponent of the dynamic shift: a straight line through the two points above, and beyond them.</summary>
    /// <param name="imageTokens">Tokens of the picture as the transformer sees them: (height / 16) (width / 16) for FLUX.</param>
    /// <returns>The exponent, kept to numbers whose exponential is one.</returns>
    public double Mu(int imageTokens) => Math.Clamp(Line(imageTokens), -LargestMu, LargestMu);

    private double Line(int imageTokens)
    {
        double slope = (MaxShift - BaseShift) / (MaxImageTokens - BaseImageTokens);
        return (imageTokens * slope) + (BaseShift - (slope * BaseImageTokens));
    }

    private void CheckSettings(ModelJson json, string path)
    {
        SamplingMethod? method;
        try
        {
            method = Method;
        }
        catch (ModelFormatException e)
        {
            throw new ModelFormatException(path, e.Message);
        }

        (string Key, string Value)[] solver = method switch
        {
            SamplingMethod.UniPc => [.. s_multistep, .. s_uniPc],
            SamplingMethod.DpmPlusPlus => [.. s_multistep, .. s_dpm],
            _ => [],
        };
        string[] known = [.. s_common.Concat(s_multistep).Concat(s_uniPc).Concat(s_dpm).Select(rule => rule.Key)];
        foreach ((string key, string value) in s_common.Concat(solver))
        {
            string found = json.Raw(key);
            string alone = value == "null" ? "this engine does not have it" : $"this engine has {value} alone";
            Require(found == "null" || found == value, path, $"\"{key}\" is not supported: it is {found}, but {alone}");
        }

        // What a later version of the file's format switches on is not known here, so it cannot be obeyed.
        string? unknown = json.Keys.FirstOrDefault(key => json.Raw(key) == "true" && !known.Contains(key));
        Require(unknown is null, path, $"\"{unknown}\" is not supported: it is true, but this engine does not have it");
    }

    private static void Require(bool condition, string path, string problem)
    {
        if (!condition)
        {
            throw new ModelFormatException(path, problem);
        }
    }
}
