using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Wan;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Models;

public sealed class WanModelTests : IDisposable
{
    private static readonly WanConfig s_tiny = new()
    {
        InChannels = 2,
        OutChannels = 2,
        Width = 24,
        MlpWidth = 40,
        Heads = 2,
        Layers = 3,
        FrequencyWidth = 16,
        TextDim = 10,
        TextTokens = 5,
    };

    private static readonly SessionOptions s_guided = new() { Branches = 2 };

    private readonly CpuBackend _backend = new();

    [Fact]
    public void The_two_configurations_of_a_model_say_the_same()
    {
        WanConfig original = WanConfig.Read(Golden("i2v", "original", "config.json"));
        Assert.Equal(original, WanConfig.Read(Golden("i2v", "diffusers", "config.json")));
        Assert.Equal((12, 4, 56, 36), (original.InChannels, original.OutChannels, original.Width, original.ImageDim));
        Assert.Equal([12, 8, 8], original.RopeAxes);
    }

    [Theory]
    [InlineData("\"model_type\": \"flf2v\"", "model_type is flf2v; known are t2v and i2v")]
    [InlineData("\"model_type\": \"i2v\"", "16 channels in and 16 out: an image-to-video model takes more than it gives")]
    [InlineData("\"patch_size\": [1, 4, 4]", "patch_size is 1/4/4")]
    [InlineData("\"num_heads\": 7", "7 heads in a width of 48")]
    [InlineData("\"_class_name\": \"FluxTransformer2DModel\"", "not a WanModel")]
    public void An_impossible_configuration_is_refused_with_the_reason(string change, string reason)
    {
        string key = change.Split(':')[0];
        string[] lines = ["\"dim\": 48", "\"ffn_dim\": 96", "\"num_heads\": 2", "\"num_layers\": 1"];
        using TemporaryFolder folder = new();
        string path = folder.File("config.json");
        File.WriteAllText(path, "{" + string.Join(", ", lines.Where(l => !l.StartsWith(key, StringComparison.Ordinal)).Append(change)) + "}");
        string message = Assert.Throws<ModelFormatException>(() => WanConfig.Read(path)).Message;
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Geometry_is_inferred_where_there_is_no_configuration()
    {
        using TemporaryFolder folder = new();
        string file = folder.Copy(Golden("hd128", "original", "diffusion_pytorch_model.safetensors"), "wan.safetensors");
        using WanModel model = WanModel.Load(_backend, file);
        Assert.Equal(WanConfig.Read(Golden("hd128", "original", "config.json")) with { TextTokens = 512 }, model.Config);
    }

    [Fact]
    public void Released_models_plan_under_80_GB_at_720p()
    {
        LatentSize latent = LatentSize.OfVideo(81, 720, 1280);
        DiCachePolicy policy = new(DiCacheOptions.Wan);
        foreach ((WanConfig config,
            double billions) in new[] { (WanConfig.TextToVideo1B, 1.42), (WanConfig.TextToVideo14B, 14.29), (WanConfig.ImageToVideo14B, 16.4) })
        {
            MemoryPlan plan = WanModel.Plan(config, new WanShape(latent) { Slots = 2, MaxSteps = 50 }, policy, s_guided, DType.BF16);
            Assert.Equal(billions, plan.Parameters / 1e9, 0.01);
            Assert.InRange(plan.WeightBytes, 2 * plan.Parameters, 2.01 * plan.Parameters);
            Assert.InRange(plan.TotalBytes, plan.WeightBytes, 80e9);
        }
    }

    [Fact]
    public void The_plan_is_what_is_then_allocated()
    {
        WanShape shape = new(new LatentSize(2, 4, 6)) { Slots = 2, MaxSteps = 7 };
        DiCachePolicy policy = new(DiCacheOptions.Wan);
        MemoryPlan plan = WanModel.Plan(s_tiny, shape, policy, s_guided, DType.F32);
        using WanModel model = WanModel.Random(_backend, s_tiny);
        using WanProgram program = model.CreateProgram(shape);
        using DiTSession session = new(program, policy, s_guided);
        Assert.Equal((plan.Parameters, plan.ActivationBytes, plan.CacheBytes), (model.Parameters, program.ActivationBytes, session.CacheBytes));
    }

    [Fact]
    public void Working_in_runs_of_rows_changes_nothing()
    {
        LatentSize latent = new(3, 24, 12);
        using WanModel model = WanModel.Random(_backend, s_tiny);
        float[] whole = Velocity(model, new WanShape(latent), Noise(latent.Positions * 2)),
            inRuns = Velocity(model, new WanShape(latent) { MaxRows = 128 }, Noise(latent.Positions * 2));
        Assert.True(whole.Max(MathF.Abs) > 0.1f);
        Assert.Equal(0, whole.Zip(inRuns, (a, b) => MathF.Abs(a - b)).Max(), 1e-5f);
    }

    [Fact]
    public void Padding_does_not_reach_the_result()
    {
        LatentSize latent = new(1, 4, 6);
        using WanModel model = WanModel.Random(_backend, s_tiny);
        float[] plain = Velocity(model, new WanShape(latent), Noise(48)), padded = Velocity(model, new WanShape(latent) { Tokens = 11 }, Noise(48));
        Assert.Equal(0, plain.Zip(padded, (a, b) => MathF.Abs(a - b)).Max(), 1e-5f);
    }

    [Fact]
    public void Slots_keep_their_conditions_apart()
    {
        LatentSize latent = new(1, 4, 4);
        using WanModel model = WanModel.Random(_backend, s_tiny);
        WanConditions one = new() { Text = Noise(30) }, other = new() { Text = Noise(20, 9) };
        using WanProgram both = model.CreateProgram(new WanShape(latent) { Slots = 2 });
        both.SetConditions(0, one);
        both.SetConditions(1, other);
        Assert.Equal(Velocity(model, new WanShape(latent), Noise(32), one), Run(both, Noise(32), 0));
        Assert.Equal(Velocity(model, new WanShape(latent), Noise(32), other), Run(both, Noise(32), 1));
    }

    [Fact]
    public void Conditions_of_another_size_are_refused_with_both_sizes()
    {
        using WanModel model = WanModel.Random(_backend, s_tiny);
        using WanProgram program = model.CreateProgram(new WanShape(new LatentSize(1, 2, 2)));
        string message = Assert.Throws<ArgumentException>(() => program.SetConditions(0, new WanConditions { Text = Noise(60) })).Message;
        Assert.Contains("text states of 60 elements do not fit: at most 5 tokens of 10", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => program.SetConditions(1, new WanConditions { Text = Noise(10) }));
    }

    public void Dispose() => _backend.Dispose();

    private static string Golden(params string[] parts) => Repository.File([.. new[] { "tests", "golden", "wan-tiny" }, .. parts]);

    private static float[] Velocity(WanModel model, WanShape shape, float[] latents, WanConditions? conditions = null)
    {
        using WanProgram program = model.CreateProgram(shape);
        program.SetConditions(0, conditions ?? new WanConditions { Text = Noise(40) });
        return Run(program, latents, 0);
    }

    private static float[] Run(WanProgram program, float[] latents, int slot)
    {
        using DiTSession session = new(program, NoCachePolicy.Instance, new SessionOptions { Branches = slot + 1 });
        float[] velocity = new float[latents.Length];
        session.Begin([0.7f]);
        session.Step(latents, 0.7f, slot, velocity);
        return velocity;
    }

    private static float[] Noise(int count, int seed = 1)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 4) - 2)];
    }
}
