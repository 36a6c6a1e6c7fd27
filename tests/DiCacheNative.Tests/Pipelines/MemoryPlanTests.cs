using DiCacheNative.Backends;
using DiCacheNative.Imaging;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Pipelines;

namespace DiCacheNative.Tests.Pipelines;

public sealed class MemoryPlanTests
{
    private static readonly GenerationRequest s_image = new() { Prompt = "a red circle", Steps = 1 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("shapes-flux", 16384, 0)]
    [InlineData("shapes-flux", 2048, 0)]
    [InlineData("shapes-wan", 1024, 257)]
    public async Task What_does_not_fit_is_refused_before_anything_is_computed(string model, int side, int frames)
    {
        using Engine engine = Load(model, () => 400_000_000);
        GenerationRequest request = s_image with { Width = side, Height = side, VideoFrames = frames, OnStep = _ => Assert.Fail("a step was computed") };
        string message = (await Assert.ThrowsAsync<BackendException>(() => engine.GenerateAsync(request, cancellationToken: Cancel))).Message;
        Assert.Contains($"{side}x{side}", message, StringComparison.Ordinal);
        Assert.Contains("sampling takes", message, StringComparison.Ordinal);
        Assert.Contains("decoding after it about", message, StringComparison.Ordinal);
        Assert.Contains("400 MB of memory are free", message, StringComparison.Ordinal);
        Assert.Contains("ask for a smaller size", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shapes-flux")]
    [InlineData("shapes-wan")]
    public async Task What_fits_exactly_is_generated_and_a_byte_less_is_refused(string model)
    {
        long free = long.MaxValue;
        using Engine engine = Load(model, () => free);
        GenerationRequest request = s_image with { Width = 64, Height = 64, Cache = CacheOptions.DiCache() };
        MemoryPlan plan = engine.Pipeline.PlanMemory(request);
        Assert.True(plan is { TextBytes: > 0, DecoderBytes: > 0, ResultBytes: > 0, ActivationBytes: > 0, CacheBytes: > 0, WeightBytes: > 0 }, $"{plan}");
        free = Math.Max(Math.Max(plan.TextBytes, plan.SamplingBytes), plan.DecodingBytes);
        Assert.NotNull(await engine.GenerateAsync(request, cancellationToken: Cancel));
        free--;
        await Assert.ThrowsAsync<BackendException>(() => engine.GenerateAsync(request, cancellationToken: Cancel));
    }

    [Fact]
    public void The_decoder_of_a_large_image_is_counted_as_it_was_measured()
    {
        using Engine engine = Load("shapes-flux", () => long.MaxValue);
        MemoryPlan plan = engine.Pipeline.PlanMemory(s_image with { Width = 2048, Height = 2048 });

        // Measured: 2.4 GB more than at 128 x 128, and 126 MB of activations.
        Assert.InRange(plan.DecodingBytes, 2.0e9, 2.7e9);
        Assert.InRange(plan.ActivationBytes, 100e6, 150e6);
        Assert.True(engine.Pipeline.PlanMemory(s_image with { Width = 16384, Height = 16384 }).DecodingBytes > 100e9);
    }

    [Fact]
    public void The_plan_of_a_FLUX_model_is_what_its_program_takes()
    {
        using Engine engine = Load("shapes-flux", () => long.MaxValue);
        FluxModel model = ((FluxPipeline)engine.Pipeline).Transformer;
        FluxShape shape = new(2, 4, 6, 24, 2, 5);
        using FluxProgram program = model.CreateProgram(shape);
        MemoryPlan plan = FluxModel.Plan(model.Config, shape, CacheOptions.None, new SessionOptions(), engine.Backend.ActivationType);
        Assert.Equal(program.ActivationBytes, plan.ActivationBytes);
        Assert.InRange(plan.Parameters, 5_000_000, 5_600_000);
    }

    [Fact]
    public async Task An_image_whose_decoding_does_not_fit_is_decoded_in_tiles_which_is_told()
    {
        long free = long.MaxValue;
        using Engine engine = Load("shapes-flux", () => free);
        GenerationRequest request = s_image with { Width = 1152, Height = 64 };
        GenerationResult whole = await engine.GenerateAsync(request, cancellationToken: Cancel);
        Assert.Empty(whole.Notes);
        free = engine.Pipeline.PlanMemory(request).DecodingBytes - 1;
        MemoryPlan plan = engine.Pipeline.PlanMemory(request);
        Assert.True(plan.DecodingBytes < free, $"{plan}");
        GenerationResult tiled = await engine.GenerateAsync(request, cancellationToken: Cancel);
        Assert.Contains("decoded in tiles of 1024 pixels", Assert.Single(tiled.Notes), StringComparison.Ordinal);
        Assert.Equal(whole.Latents, tiled.Latents);
        Assert.True(Psnr(whole.Images[0], tiled.Images[0]) > 30, $"{Psnr(whole.Images[0], tiled.Images[0])} dB");
    }

    [Fact]
    public async Task Tiles_can_be_asked_for_and_work_for_every_image_of_a_batch()
    {
        using Engine plain = Load("shapes-flux", null), tiles = Engine.Load(
            Repository.File("models", "shapes-flux"), new EngineOptions { Backend = BackendKind.Cpu, ImageTiling = new ImageTiling { Tile = 8, Overlap = 3 } });
        GenerationRequest request = s_image with { Width = 144, Height = 96, BatchCount = 2, Steps = 6 };
        GenerationResult whole = await plain.GenerateAsync(request, cancellationToken: Cancel),
            tiled = await tiles.GenerateAsync(request, cancellationToken: Cancel);
        Assert.Equal(whole.Latents, tiled.Latents);
        Assert.Equal((144, 96), (tiled.Images[1].Width, tiled.Images[1].Height));
        Assert.All([0, 1], i => Assert.True(Psnr(whole.Images[i], tiled.Images[i]) > 25, $"{Psnr(whole.Images[i], tiled.Images[i])} dB"));
        GenerationRequest small = s_image with { Width = 64, Height = 64 };
        Assert.Equal((await plain.GenerateAsync(small, cancellationToken: Cancel)).Planes.Values,
            (await tiles.GenerateAsync(small, cancellationToken: Cancel)).Planes.Values);
    }

    [Theory]
    [InlineData(5, 2)]
    [InlineData(8, 4)]
    [InlineData(6, 1)]
    public void Tiles_of_a_decoder_that_sees_one_latent_at_a_time_change_nothing(int tile, int overlap)
    {
        float[] latents = [.. Enumerable.Range(0, 2 * 4 * 13 * 17).Select(i => MathF.Sin(i))];
        using PointDecoder decoder = new();
        ImagePlanes whole = decoder.Decode(latents, 2, 13, 17, Cancel);
        ImagePlanes tiled = TiledImageDecoding.Decode(decoder, new ImageTiling { Tile = tile, Overlap = overlap }, latents, 2, 13, 17, Cancel);
        Assert.Equal((whole.Batch, whole.Height, whole.Width), (tiled.Batch, tiled.Height, tiled.Width));
        Assert.All(whole.Values.Zip(tiled.Values), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
    }

    [Theory]
    [InlineData("shapes-flux")]
    [InlineData("shapes-wan")]
    public void Encoders_and_decoder_that_do_not_fit_are_refused_while_loading(string model) =>
        Assert.Contains("text encoders and decoder", Assert.Throws<BackendException>(() => Load(model, () => 1_000_000)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(8, 0)]
    [InlineData(8, 5)]
    [InlineData(1, 1)]
    public void Tiles_that_cannot_overlap_are_refused(int tile, int overlap) =>
        Assert.Throws<ArgumentException>(() => Load("shapes-flux", null, new ImageTiling { Tile = tile, Overlap = overlap }));

    [Theory]
    [InlineData("shapes-flux", 64, 1)]
    [InlineData("shapes-wan", 1, 4097)]
    public async Task More_pictures_than_can_be_held_are_refused_with_a_sentence(string model, int batch, int frames)
    {
        using Engine engine = Load(model, () => long.MaxValue);
        GenerationRequest request = s_image with { Width = 16384, Height = 4096, BatchCount = batch, VideoFrames = frames };
        string message = (await Assert.ThrowsAsync<ArgumentException>(() => engine.GenerateAsync(request, cancellationToken: Cancel))).Message;
        Assert.Contains("at once", message, StringComparison.Ordinal);
    }

    private static Engine Load(string model, Func<long>? free, ImageTiling? tiling = null) =>
        Engine.Load(Repository.File("models", model), new EngineOptions { Backend = BackendKind.Cpu, FreeHostMemory = free, ImageTiling = tiling });

    private static double Psnr(Image a, Image b)
    {
        double sum = a.Pixels.Zip(b.Pixels, (x, y) => (double)(x - y) * (x - y)).Sum();
        return 10 * Math.Log10(255.0 * 255 * a.Pixels.Length / sum);
    }

    // Every latent becomes two by two pixels of its first three channels.
    private sealed class PointDecoder : IVaeDecoder
    {
        public ImagePlanes Decode(float[] latent, int batch, int height, int width, CancellationToken cancellationToken = default)
        {
            int channels = latent.Length / (batch * height * width);
            float[] values = new float[batch * 3 * 4 * height * width];
            for (int i = 0; i < values.Length; i++)
            {
                int x = i % (2 * width), y = i / (2 * width) % (2 * height), plane = i / (4 * width * height), b = plane / 3, c = plane % 3;
                values[i] = latent[(((((b * channels) + c) * height) + (y / 2)) * width) + (x / 2)];
            }

            return new ImagePlanes(batch, 2 * height, 2 * width, values);
        }

        public void Dispose()
        {
        }
    }
}
