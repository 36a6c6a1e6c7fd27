using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Models;

public sealed class HunyuanModelTests : IDisposable
{
    private static readonly HunyuanConfig s_tiny = new()
    {
        Channels = 2,
        DoubleBlocks = 2,
        SingleBlocks = 2,
        RefinerBlocks = 1,
        Heads = 2,
        HeadDim = 12,
        MlpWidth = 40,
        TextDim = 10,
        PooledDim = 6,
        RopeAxes = [4, 4, 4],
    };

    private readonly CpuBackend _backend = new();
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void The_two_configurations_of_a_model_say_the_same()
    {
        HunyuanConfig original = HunyuanConfig.Read(Golden("original", "config.json")), diffusers = HunyuanConfig.Read(Golden("diffusers", "config.json"));
        Assert.Equal(original.RopeAxes, diffusers.RopeAxes);
        Assert.Equal(original with { RopeAxes = diffusers.RopeAxes }, diffusers);
        Assert.Equal((60, 240, 3, 3, 2), (original.Width, original.MlpWidth, original.DoubleBlocks, original.SingleBlocks, original.RefinerBlocks));
    }

    [Theory]
    [InlineData("\"image_condition_type\": \"latent_concat\"", "image-to-video model, which is not supported")]
    [InlineData("\"patch_size\": 4", "the patch size is 1/4/4")]
    [InlineData("\"rope_axes_dim\": [4, 4]", "rotary axes 4/4 must be three even numbers")]
    [InlineData("\"_class_name\": \"WanModel\"", "not a HunyuanVideoTransformer3DModel")]
    public void An_impossible_configuration_is_refused_with_the_reason(string change, string reason)
    {
        string path = _folder.File("config.json");
        File.WriteAllText(path, "{\"num_layers\": 1, \"num_single_layers\": 1, \"num_attention_heads\": 2, \"attention_head_dim\": 12, " + change + "}");
        string message = Assert.Throws<ModelFormatException>(() => HunyuanConfig.Read(path)).Message;
        Assert.Contains(reason, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Both_layouts_give_the_same_bits_with_and_without_configuration()
    {
        // names.txt says, for every tensor of the diffusers file, which rows of which released tensor hold its numbers.
        string original = Golden("original", "mp_rank_00_model_states.safetensors"), diffusers = _folder.File("diffusers.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(original))
        {
            SafetensorsWriter writer = new();
            foreach (string[] parts in File.ReadLines(Golden("diffusers", "names.txt")).Select(l => l.Split(' ')))
            {
                HostTensor[] rows = [.. parts[2..].Select(run => run.Split(':')).Select(run =>
                    file.Tensors[parts[1]].Rows(int.Parse(run[0]), int.Parse(run[1])))];
                writer.Add(parts[0], [rows.Sum(r => r.Shape[0]), .. rows[0].Shape[1..]], [.. rows.SelectMany(r => r.ToArray())]);
            }

            writer.Save(diffusers);
        }

        string bare = _folder.File("bare.safetensors");
        File.Copy(original, bare);
        HunyuanShape shape = new(new LatentSize(1, 4, 4), 7);
        float[] reference = Velocity(Golden("original"), shape);
        Assert.True(reference.Max(MathF.Abs) > 0.1f);
        Assert.Equal(reference, Velocity(diffusers, shape));
        Assert.Equal(reference, Velocity(bare, shape));
        File.Copy(Golden("diffusers", "config.json"), _folder.File("config.json"));
        Assert.Equal(reference, Velocity(diffusers, shape));
    }

    [Fact]
    public void The_released_model_plans_under_80_GB_at_720p()
    {
        HunyuanShape shape = new(LatentSize.OfVideo(129, 720, 1280), MaxSteps: 50);
        MemoryPlan plan = HunyuanModel.Plan(HunyuanConfig.TextToVideo, shape, new DiCachePolicy(DiCacheOptions.Hunyuan), new SessionOptions(), DType.BF16);
        Assert.Equal(12.82, plan.Parameters / 1e9, 0.01);
        Assert.InRange(plan.TotalBytes, plan.WeightBytes, 80e9);
    }

    [Fact]
    public void The_plan_is_what_is_then_allocated()
    {
        HunyuanShape shape = new(new LatentSize(2, 4, 6), 5, Batch: 2, Slots: 2, MaxSteps: 7);
        DiCachePolicy policy = new(DiCacheOptions.Hunyuan);
        SessionOptions options = new() { Branches = 2, Samples = 2 };
        MemoryPlan plan = HunyuanModel.Plan(s_tiny, shape, policy, options, DType.F32);
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        using HunyuanProgram program = model.CreateProgram(shape);
        using DiTSession session = new(program, policy, options);
        Assert.Equal((plan.Parameters, plan.ActivationBytes, plan.CacheBytes), (model.Parameters, program.ActivationBytes, session.CacheBytes));
    }

    [Fact]
    public void Working_in_runs_of_rows_changes_nothing()
    {
        HunyuanShape shape = new(new LatentSize(3, 24, 12), 5);
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        float[] whole = Run(model, shape, Text(5, 3)), inRuns = Run(model, shape with { MaxRows = 128 }, Text(5, 3));
        Assert.True(whole.Max(MathF.Abs) > 0.1f);
        Assert.Equal(0, Difference(whole, inRuns), 1e-5f);
    }

    [Fact]
    public void Padded_text_does_not_reach_the_result()
    {
        HunyuanShape shape = new(new LatentSize(1, 4, 6), 9);
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        float[] exact = Run(model, shape with { TextTokens = 3 }, Text(3, 3));
        Assert.Equal(0, Difference(exact, Run(model, shape, Text(9, 3))), 1e-5f);
        Assert.NotEqual(0, Difference(exact, Run(model, shape, Text(9, 9))), 1e-3f);
    }

    [Fact]
    public void Samples_of_a_batch_keep_their_own_text_length()
    {
        HunyuanShape shape = new(new LatentSize(1, 4, 6), 6);
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        HunyuanConditions one = Text(6, 2), other = Text(6, 6) with { Guidance = 2 };
        float[] both = Run(model, shape with { Batch = 2 }, one, other);
        Assert.Equal(0, Difference(both[..48], Run(model, shape, one)), 1e-5f);
        Assert.Equal(0, Difference(both[48..], Run(model, shape, other)), 1e-5f);
    }

    [Fact]
    public void A_session_follows_when_the_text_changes_its_length()
    {
        HunyuanShape shape = new(new LatentSize(1, 4, 4), 6);
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        using HunyuanProgram program = model.CreateProgram(shape);
        using DiTSession session = new(program, NoCachePolicy.Instance);
        float[] latents = Noise(32), velocity = new float[32];
        int version = program.PlanVersion;
        foreach (int valid in new[] { 2, 5 })
        {
            program.SetConditions(0, Text(6, valid));
            session.Begin([0.7f]);
            session.Step(latents, 0.7f, 0, velocity);
            Assert.Equal(Run(model, shape, Text(6, valid)), velocity);
        }

        Assert.True(program.PlanVersion > version);
    }

    [Fact]
    public void Conditions_that_do_not_fit_are_refused_with_the_sizes()
    {
        using HunyuanModel model = HunyuanModel.Random(_backend, s_tiny);
        using HunyuanProgram program = model.CreateProgram(new HunyuanShape(new LatentSize(1, 2, 2), 4));
        string message = Assert.Throws<ArgumentException>(() => program.SetConditions(0, Text(5, 5))).Message;
        Assert.Contains("text is at most 4 tokens of 10", message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => program.SetConditions(0, Text(4, 0)));
        Assert.Throws<InvalidOperationException>(() => program.SetTimesteps([1]));
    }

    public void Dispose()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    private static string Golden(params string[] parts) => Repository.File([.. new[] { "tests", "golden", "hunyuan-tiny" }, .. parts]);

    private static HunyuanConditions Text(int tokens, int valid) => new() { Text = Noise(tokens * 10), ValidTokens = valid, Pooled = Noise(6, 2) };

    private static float Difference(float[] a, float[] b) => a.Zip(b, (x, y) => MathF.Abs(x - y)).Max();

    private static float[] Run(HunyuanModel model, HunyuanShape shape, params ReadOnlySpan<HunyuanConditions> conditions)
    {
        using HunyuanProgram program = model.CreateProgram(shape);
        program.SetConditions(0, conditions);
        using DiTSession session = new(program, NoCachePolicy.Instance, new SessionOptions { Samples = shape.Batch });
        float[] sample = Noise(model.Config.Channels * shape.Latent.Positions), latents = [.. Enumerable.Repeat(sample, shape.Batch).SelectMany(s => s)];
        float[] velocity = new float[latents.Length];
        session.Begin([0.7f]);
        session.Step(latents, 0.7f, 0, velocity);
        return velocity;
    }

    private static float[] Noise(int count, int seed = 1)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 4) - 2)];
    }

    private float[] Velocity(string path, HunyuanShape shape)
    {
        using HunyuanModel model = HunyuanModel.Load(_backend, path);
        return Run(model, shape, new HunyuanConditions { Text = Noise(7 * 40), ValidTokens = 4, Pooled = Noise(24) });
    }
}
