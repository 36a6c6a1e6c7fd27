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
    [InlineData("[]", "not a JSON object")]
    public void A_wrong_value_is_named_with_its_file(string json, string fault)
    {
        var e = Assert.Throws<ModelFormatException>(() => Read(json));
        Assert.StartsWith(_path, e.Message, StringComparison.Ordinal);
        Assert.Contains(fault, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_named() => Assert.StartsWith(_path, Assert.Throws<ModelFormatException>(() => SchedulerConfig.Read(_path)).Message, StringComparison.Ordinal);

    private SchedulerConfig Read(string json)
    {
        File.WriteAllText(_path, json);
        return SchedulerConfig.Read(_path);
    }
}
