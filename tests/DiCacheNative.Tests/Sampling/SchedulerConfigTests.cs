using DiCacheNative.Sampling;

namespace DiCacheNative.Tests.Sampling;

public sealed class SchedulerConfigTests : IDisposable
{
    private readonly string _path = Path.Combine(Directory.CreateTempSubdirectory("scheduler-").FullName, "scheduler_config.json");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(_path)!, recursive: true);

    [Fact]
    public void Reads_what_the_file_says()
    {
        SchedulerConfig config = Read("""
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 500, "shift": 3.0, "use_dynamic_shifting": true,
             "base_shift": 0.25, "max_shift": 2, "base_image_seq_len": 100, "max_image_seq_len": 200, "shift_terminal": null, "later": []}
            """);
        Assert.Equal(
            new SchedulerConfig
            {
                ClassName = "FlowMatchEulerDiscreteScheduler",
                TrainTimesteps = 500,
                Shift = 3,
                UseDynamicShifting = true,
                BaseShift = 0.25,
                MaxShift = 2,
                BaseImageTokens = 100,
                MaxImageTokens = 200,
            },
            config);
        Assert.Equal(1.125, config.Mu(150), 12);
    }

    [Fact]
    public void Missing_keys_keep_the_published_defaults()
    {
        Assert.Equal(new SchedulerConfig(), Read("{}"));
        Assert.Equal(5, Read("""{"flow_shift": 5}""").Shift);
    }

    [Theory]
    [InlineData("""{"shift": "3"}""", "\"shift\" must be a number")]
    [InlineData("""{"shift": 0}""", "\"shift\" must be positive")]
    [InlineData("""{"use_dynamic_shifting": 1}""", "\"use_dynamic_shifting\" must be true or false")]
    [InlineData("""{"num_train_timesteps": 1.5}""", "\"num_train_timesteps\" must be an integer")]
    [InlineData("""{"num_train_timesteps": 1}""", "\"num_train_timesteps\" must be at least 2")]
    [InlineData("""{"max_image_seq_len": 256}""", "must be above \"base_image_seq_len\"")]
    [InlineData("""{"use_karras_sigmas": true}""", "\"use_karras_sigmas\" is not supported")]
    [InlineData("""{"shift_terminal": 0.1}""", "\"shift_terminal\" is not supported")]
    [InlineData("""{"time_shift_type": "linear"}""", "time_shift_type")]
    [InlineData("""{"shift": 1e-300}""", "\"shift\" must be positive and below 1000, at least 0.001")]
    [InlineData("""{"shift": 1e308}""", "\"shift\" must be positive and below 1000")]
    [InlineData("""{"num_train_timesteps": 2000000000}""", "\"num_train_timesteps\" must be at least 2 and at most")]
    [InlineData("""{"use_dynamic_shifting": true, "base_image_seq_len": 256, "max_image_seq_len": 257}""", "too close together")]
    [InlineData("""{"use_dynamic_shifting": true, "base_image_seq_len": 4095, "max_image_seq_len": 4096}""", "too close together")]
    [InlineData("""{"max_shift": 1e300}""", "\"max_shift\"")]
    [InlineData("""{"_class_name": "DDIMScheduler"}""", "\"_class_name\" is DDIMScheduler")]
    [InlineData("""{"_class_name": "FlowMatchHeunDiscreteScheduler"}""", "\"_class_name\" is FlowMatchHeunDiscreteScheduler")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "prediction_type": "epsilon"}""", "\"prediction_type\" is not supported: it is \"epsilon\"")]
    [InlineData("""{"_class_name": "FlowMatchEulerDiscreteScheduler", "prediction_type": "v_prediction"}""", "\"prediction_type\" is not supported")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "solver_order": 3}""", "\"solver_order\" is not supported: it is 3, but this engine has 2 alone")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "solver_type": "bh1"}""", "\"solver_type\" is not supported")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "disable_corrector": [0]}""", "\"disable_corrector\" is not supported: it is [0]")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "predict_x0": false}""", "\"predict_x0\" is not supported")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "lower_order_final": false}""", "\"lower_order_final\" is not supported")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "final_sigmas_type": "sigma_min"}""", "\"final_sigmas_type\" is not supported")]
    [InlineData("""{"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": false}""", "\"use_flow_sigmas\" is not supported")]
    [InlineData("""{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++"}""", "\"algorithm_type\" is not supported")]
    [InlineData("""{"_class_name": "DPMSolverMultistepScheduler", "solver_type": "heun"}""", "\"solver_type\" is not supported")]
    [InlineData("""{"_class_name": "FlowMatchEulerDiscreteScheduler", "use_some_later_sigmas": true}""", "\"use_some_later_sigmas\" is not supported")]
    [InlineData("[]", "not a JSON object")]
    public void A_wrong_value_is_named_with_its_file(string json, string fault)
    {
        var e = Assert.Throws<ModelFormatException>(() => Read(json));
        Assert.StartsWith(_path, e.Message, StringComparison.Ordinal);
        Assert.Contains(fault, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FlowMatchEulerDiscreteScheduler", "{}", SamplingMethod.Euler)]
    [InlineData("DPMSolverMultistepScheduler", """{"solver_type": "midpoint", "algorithm_type": "dpmsolver++", "use_flow_sigmas": true, "solver_order": 2.0}""", SamplingMethod.DpmPlusPlus)]
    [InlineData(
        "UniPCMultistepScheduler",
        """
        {"beta_end": 0.02, "beta_schedule": "linear", "disable_corrector": [], "dynamic_thresholding_ratio": 0.995, "final_sigmas_type": "zero", "flow_shift": 5.0,
         "lower_order_final": true, "num_train_timesteps": 1000, "predict_x0": true, "prediction_type": "flow_prediction", "rescale_betas_zero_snr": false,
         "solver_order": 2, "solver_p": null, "solver_type": "bh2", "steps_offset": 0, "thresholding": false, "timestep_spacing": "linspace", "trained_betas": null,
         "use_beta_sigmas": false, "use_exponential_sigmas": false, "use_flow_sigmas": true, "use_karras_sigmas": false}
        """,
        SamplingMethod.UniPc)]
    public void The_class_gives_the_solver_and_the_published_settings_are_taken(string name, string settings, SamplingMethod method) =>
        Assert.Equal(method, Read(settings.TrimEnd()[..^1] + (settings.Contains(':') ? "," : "") + $"\"_class_name\": \"{name}\"}}").Method);

    [Fact]
    public void A_missing_file_is_named() => Assert.StartsWith(_path, Assert.Throws<ModelFormatException>(() => SchedulerConfig.Read(_path)).Message,
        StringComparison.Ordinal);

    private SchedulerConfig Read(string json)
    {
        File.WriteAllText(_path, json);
        return SchedulerConfig.Read(_path);
    }
}
