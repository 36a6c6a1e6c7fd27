using System.Text.RegularExpressions;

namespace DiCacheNative.Tests.Pipelines;

public sealed class ImpossibleSettingsTests
{
    [Theory]
    [InlineData("sample_size", "0")]
    [InlineData("sample_size", "-128")]
    [InlineData("sample_size", "100")]
    [InlineData("sample_size", "1000000000")]
    [InlineData("latent_channels", "0")]
    [InlineData("latent_channels", "-16")]
    [InlineData("scaling_factor", "0")]
    [InlineData("scaling_factor", "-1")]
    [InlineData("scaling_factor", "1e308")]
    [InlineData("shift_factor", "1e308")]
    [InlineData("downscale_factor", "0")]
    [InlineData("block_out_channels", "[]")]
    public void An_impossible_value_of_the_image_vae_is_the_files_fault_and_named_while_loading(string key, string value) =>
        Refused("shapes-flux", "vae/config.json", key, value);

    [Theory]
    [InlineData("frames", "4")]
    [InlineData("frames", "0")]
    [InlineData("frames", "2000000001")]
    [InlineData("width", "60")]
    [InlineData("height", "2147483632")]
    [InlineData("fps", "0")]
    [InlineData("fps", "1e300")]
    [InlineData("guidance", "1e308")]
    [InlineData("shift", "1e308")]
    [InlineData("shift", "0")]
    [InlineData("steps", "0")]
    [InlineData("steps", "1000000")]
    [InlineData("num_train_timesteps", "1")]
    [InlineData("prediction_type", "\"epsilon\"")]
    [InlineData("solvers", "[\"heun\"]")]
    public void An_impossible_value_of_the_settings_is_the_files_fault_and_named_while_loading(string key, string value) =>
        Refused("shapes-wan", "sampling.json", key, value);

    [Theory]
    [InlineData("latents_std", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]")]
    [InlineData("latents_mean", "[1]")]
    public void A_normalization_that_cannot_be_undone_is_named(string key, string value) =>
        Refused("shapes-wan", "vae/config.json", key, value, json =>
            json.Replace("\"onnx_includes_scaling\": true", "\"onnx_includes_scaling\": false", StringComparison.Ordinal));

    [Fact]
    public void Latents_that_the_transformer_does_not_take_are_named_while_loading()
    {
        using TemporaryFolder folder = new();
        string variant = folder.Variant(Repository.File("models", "shapes-flux"), "vae/config.json", json => Set(json, "latent_channels", "8"));
        string message = Assert.Throws<ModelFormatException>(() => Engine.Load(variant, new EngineOptions { Backend = BackendKind.Cpu }).Dispose()).Message;
        Assert.Contains("latents of 8 channels", message, StringComparison.Ordinal);
    }

    private static void Refused(string model, string file, string key, string value, Func<string, string>? also = null)
    {
        using TemporaryFolder folder = new();
        string variant = folder.Variant(Repository.File("models", model), file, json => Set((also ?? (j => j))(json), key, value));
        string message = Assert.Throws<ModelFormatException>(() => Engine.Load(variant, new EngineOptions { Backend = BackendKind.Cpu }).Dispose()).Message;
        Assert.Contains(Path.GetFileName(file), message, StringComparison.Ordinal);
        Assert.Contains(key, message, StringComparison.Ordinal);
    }

    private static string Set(string json, string key, string value) =>
        Regex.Replace(json, $"\"{key}\":\\s*(\\[[^\\]]*\\]|[^,\\n}}]+)", _ => $"\"{key}\": {value}");
}
