using System.Text.Json;
using DiCacheNative.Caching;
using DiCacheNative.Models;

namespace DiCacheNative.Tests.Pipelines;

public sealed class WanEngineTests : IDisposable
{
    private static readonly string s_model = Repository.File("models", "shapes-wan");

    private readonly Engine _engine = Engine.Load(s_model, new EngineOptions { Backend = BackendKind.Cpu });

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _engine.Dispose();

    [Fact]
    public async Task What_a_request_leaves_open_is_the_models_own()
    {
        GenerationResult result = await _engine.GenerateAsync(new GenerationRequest { Prompt = "a green star grows", Steps = 2, Seed = null },
            cancellationToken: Cancel);
        GenerationRequest run = result.Request;
        Assert.Equal((4f, 3f, SamplingMethod.UniPc, string.Empty), (run.CfgScale, run.FlowShift, run.SamplingMethod, run.NegativePrompt));
        Assert.Equal((64, 64, 17), (run.Width, run.Height, run.VideoFrames));
        Assert.Equal((17, 17, 16.0), (result.Images.Count, result.Frames, result.Fps));
        Assert.Equal(run.Seed, result.Seed);
        Assert.Equal(4, result.Cache.Calls);
    }

    [Theory]
    [InlineData("default")]
    [InlineData("wan")]
    public async Task DiCache_skips_calls_of_both_branches_and_changes_the_video_little(string profile)
    {
        GenerationRequest request = new() { Prompt = "a red circle moves right", Seed = 1, KeepTrace = true };
        DiCacheOptions options = profile == "wan" ? DiCacheOptions.Wan with { Threshold = 0.2f } : DiCacheOptions.Default;
        GenerationResult plain = await _engine.GenerateAsync(request, cancellationToken: Cancel);
        GenerationResult cached = await _engine.GenerateAsync(request with { Cache = CacheOptions.DiCache(options) }, cancellationToken: Cancel);
        Assert.Equal(60, plain.Cache.Full);
        Assert.True(cached.Cache.Skip >= 25, $"only {cached.Cache.Skip} calls were skipped");
        Assert.All([0, 1], branch => Assert.Contains(cached.Trace, r => r.Branch == branch && r.Decision == StepDecision.Skip));
        Assert.True(Psnr(plain, cached) > 30, $"{Psnr(plain, cached)} dB");
    }

    [Fact]
    public async Task A_branch_is_cached_as_if_the_other_were_not_there()
    {
        // Guidance towards the same prompt: both branches see the same numbers and must decide the same, and guidance changes nothing.
        GenerationRequest request = new()
        {
            Prompt = "a red circle moves right",
            NegativePrompt = "a red circle moves right",
            Steps = 12,
            KeepTrace = true,
            Cache = CacheOptions.DiCache(),
        };
        GenerationResult guided = await _engine.GenerateAsync(request, cancellationToken: Cancel);
        GenerationResult alone = await _engine.GenerateAsync(request with { CfgScale = 1 }, cancellationToken: Cancel);
        IEnumerable<StepDecision> Of(GenerationResult result, int branch) => result.Trace.Where(r => r.Branch == branch).Select(r => r.Decision);
        Assert.Equal(Of(alone, 0), Of(guided, 0));
        Assert.Equal(Of(alone, 0), Of(guided, 1));
        Assert.Contains(StepDecision.Skip, Of(alone, 0));
        Assert.Equal(alone.Latents, guided.Latents);
    }

    [Fact]
    public async Task A_video_and_an_image_generated_at_once_equal_the_same_two_alone()
    {
        using Engine images = Engine.Load(Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu });
        GenerationRequest video = new() { Prompt = "a red circle moves right", Steps = 10, Cache = CacheOptions.DiCache() };
        GenerationRequest image = new() { Prompt = "a green star", Steps = 16, Cache = CacheOptions.DiCache() };
        float[] videoAlone = (await _engine.GenerateAsync(video, cancellationToken: Cancel)).Planes.Values;
        float[] imageAlone = (await images.GenerateAsync(image, cancellationToken: Cancel)).Planes.Values;
        using Barrier together = new(2);
        GenerationRequest AtOnce(GenerationRequest request) => request with { OnStep = s => Meet(together, s.Step) };
        GenerationResult[] both = await Task.WhenAll(_engine.GenerateAsync(AtOnce(video), cancellationToken: Cancel),
            images.GenerateAsync(AtOnce(image), cancellationToken: Cancel));
        Assert.Equal(videoAlone, both[0].Planes.Values);
        Assert.Equal(imageAlone, both[1].Planes.Values);
    }

    [Fact]
    public async Task Every_solver_and_length_runs()
    {
        GenerationRequest request = new() { Prompt = "a blue square spins", Steps = 3, VideoFrames = 9, Width = 32, Height = 48 };
        List<float[]> latents = [];
        foreach (SamplingMethod method in Enum.GetValues<SamplingMethod>())
        {
            GenerationResult result = await _engine.GenerateAsync(request with { SamplingMethod = method }, cancellationToken: Cancel);
            Assert.Equal((9, 32, 48), (result.Frames, result.Images[0].Width, result.Images[0].Height));
            Assert.Equal(16 * 3 * 6 * 4, result.Latents.Length);
            Assert.DoesNotContain(latents, known => known.SequenceEqual(result.Latents));
            latents.Add(result.Latents);
        }
    }

    [Fact]
    public async Task A_diffusers_folder_and_a_decoder_without_scaling_give_the_same_video()
    {
        using TemporaryFolder folder = new();
        foreach (string part in new[] { "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json", "text_encoder/model.onnx", "vae_decoder/model.onnx" })
        {
            folder.Copy(Path.Combine(s_model, part), part);
        }

        folder.Copy(Path.Combine(s_model, "config.json"), "transformer/config.json");
        folder.Copy(Path.Combine(s_model, "diffusion_pytorch_model.safetensors"), "transformer/diffusion_pytorch_model.safetensors");
        Directory.CreateDirectory(folder.File("scheduler"));
        Directory.CreateDirectory(folder.File("vae"));
        double[] mean = [.. Enumerable.Range(0, 16).Select(i => i / 16.0)], std = [.. Enumerable.Repeat(2.0, 16)];
        File.WriteAllText(folder.File("model_index.json"), """{ "_class_name": "WanPipeline" }""");
        File.WriteAllText(folder.File("scheduler/scheduler_config.json"), """{ "_class_name": "UniPCMultistepScheduler", "flow_shift": 3.0, "num_train_timesteps": 1000 }""");
        File.WriteAllText(folder.File("vae/config.json"), JsonSerializer.Serialize(new { latents_mean = mean, latents_std = std }));
        Assert.Equal(ModelFamily.Wan, Engine.FamilyOf(folder.Path));

        using Engine diffusers = Engine.Load(folder.Path, new EngineOptions { Backend = BackendKind.Cpu });
        GenerationRequest request = new() { Prompt = "a red circle moves right", Steps = 3, CfgScale = 4, Width = 64, Height = 64, VideoFrames = 17 };
        GenerationResult expected = await _engine.GenerateAsync(request, cancellationToken: Cancel),
            actual = await diffusers.GenerateAsync(request, cancellationToken: Cancel);
        Assert.Equal(expected.Latents, actual.Latents);
        LatentSize size = new(5, 8, 8);
        float[] scaled = [.. expected.Latents.Select((v, i) => (v * 2) + (float)mean[i / size.Positions])];
        Assert.Equal(((WanPipeline)_engine.Pipeline).Decode(scaled, size, Cancel).Values, actual.Planes.Values);
    }

    [Fact]
    public async Task Tiles_of_the_decoder_can_be_chosen()
    {
        EngineOptions options = new() { Backend = BackendKind.Cpu, VideoTiling = new() { Tile = new LatentSize(5, 8, 6), Overlap = new LatentSize(1, 2, 2) } };
        using Engine tiled = Engine.Load(s_model, options);
        GenerationRequest request = new() { Prompt = "a red circle moves right", Seed = 3, Steps = 8 };
        GenerationResult whole = await _engine.GenerateAsync(request, cancellationToken: Cancel),
            parts = await tiled.GenerateAsync(request, cancellationToken: Cancel);
        Assert.Equal(whole.Latents, parts.Latents);
        Assert.NotEqual(whole.Planes.Values, parts.Planes.Values);
        Assert.True(Psnr(whole, parts) > 25, $"{Psnr(whole, parts)} dB");
    }

    [Fact]
    public async Task A_cancelled_video_throws_and_the_engine_goes_on()
    {
        using CancellationTokenSource source = new();
        GenerationRequest request = new() { Prompt = "a star grows", Steps = 100, OnStep = _ => source.Cancel() };
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _engine.GenerateAsync(request, cancellationToken: source.Token));
        Assert.Equal(17, (await _engine.GenerateAsync(request with { Steps = 1, OnStep = null }, cancellationToken: Cancel)).Frames);
    }

    [Theory]
    [InlineData("FluxPipeline", ModelFamily.Flux)]
    [InlineData("WanPipeline", ModelFamily.Wan)]
    public void The_family_of_a_folder_is_told_without_loading_it(string name, ModelFamily family)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("model_index.json"), $$"""{ "_class_name": "{{name}}" }""");
        Assert.Equal(family, Engine.FamilyOf(folder.Path));
    }

    [Theory]
    [InlineData("model_index.json", """{ "_class_name": "StableDiffusionPipeline" }""", "StableDiffusionPipeline")]
    [InlineData("config.json", """{ "model_type": "i2v" }""", "i2v")]
    [InlineData("other.json", "{}", "no pipeline folder")]
    public void A_folder_of_another_model_is_refused(string file, string json, string sentence)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File(file), json);
        File.WriteAllText(folder.File("sampling.json"), "{}");
        Assert.Contains(sentence, Assert.Throws<ModelFormatException>(() => Engine.FamilyOf(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("StableDiffusionPipeline", "Stable Diffusion, a U-Net")]
    [InlineData("StableDiffusion3Pipeline", "Stable Diffusion 3, another architecture")]
    [InlineData("FluxFillPipeline", "masked part")]
    [InlineData("FluxKontextPipeline", "changes a given picture")]
    [InlineData("FluxImg2ImgPipeline", "from a given picture")]
    [InlineData("WanImageToVideoPipeline", "first frame")]
    [InlineData("WanVACEPipeline", "edits given videos")]
    [InlineData("HunyuanVideoImageToVideoPipeline", "first frame")]
    [InlineData("SomethingNewPipeline", "this engine runs FluxPipeline (FLUX.1, text to image) and WanPipeline (WAN 2.1, text to video)")]
    [InlineData("WanPipeline\", \"transformer_2\": [\"diffusers\", \"WanTransformer3DModel\"], \"boundary_ratio\": 0.875, \"x\": \"", "WAN 2.2 A14B")]
    [InlineData("WanPipeline\", \"transformer_2\": [null, null], \"boundary_ratio\": 0.875, \"x\": \"", "\"boundary_ratio\" is 0.875")]
    [InlineData("WanPipeline\", \"transformer_2\": [null, null], \"expand_timesteps\": true, \"x\": \"", "TI2V 5B")]
    public void A_pipeline_of_another_kind_is_named_for_what_it_is(string name, string sentence)
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder.File("model_index.json"), $$"""{ "_class_name": "{{name}}" }""");
        Assert.Contains(sentence, Assert.Throws<ModelFormatException>(() => Engine.FamilyOf(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_one_transformer_of_WAN_2_1_in_the_newer_folder_layout_is_taken()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(
            folder.File("model_index.json"), """{ "_class_name": "WanPipeline", "transformer_2": [null, null], "boundary_ratio": null, "expand_timesteps": false }""");
        Assert.Equal(ModelFamily.Wan, Engine.FamilyOf(folder.Path));
    }

    [Fact]
    public async Task A_prompt_is_cleaned_as_the_published_pipelines_do_it_and_reported_as_it_was_given()
    {
        GenerationRequest request = new() { Prompt = "a red circle moves right", Steps = 1, Width = 32, Height = 32, VideoFrames = 1 };
        const string dirty = "  a&#32;red \t circle\u00a0moves\n &lt;&gt;right \u001b[0m ";
        GenerationResult clean = await _engine.GenerateAsync(request with { Prompt = "a red circle moves <>right" }, cancellationToken: Cancel);
        GenerationResult cleaned = await _engine.GenerateAsync(request with { Prompt = dirty }, cancellationToken: Cancel);
        Assert.Equal(clean.Latents, cleaned.Latents);
        Assert.Equal(dirty, cleaned.Request.Prompt);
    }

    // Both generations take their first steps side by side.
    private static void Meet(Barrier barrier, int step)
    {
        if (step < 5)
        {
            Assert.True(barrier.SignalAndWait(TimeSpan.FromMinutes(1)), "the other generation did not come");
        }
    }

    private static double Psnr(GenerationResult a, GenerationResult b)
    {
        double sum = a.Images.Zip(b.Images, (x, y) => x.Pixels.Zip(y.Pixels, (p, q) => (double)(p - q) * (p - q)).Sum()).Sum();
        return 10 * Math.Log10(255.0 * 255 * a.Images.Count * a.Images[0].Pixels.Length / sum);
    }
}
