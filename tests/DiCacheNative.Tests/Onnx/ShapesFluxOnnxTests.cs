using DiCacheNative.Imaging;
using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;
using DiCacheNative.Text;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Onnx;

public class ShapesFluxOnnxTests
{
    private static readonly string Model = Repository.File("models", "shapes-flux");

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Text_encoders_give_the_golden_features(int index)
    {
        using SafetensorsFile golden = Golden(index);
        using OnnxTextEncoder pooledEncoder = OnnxTextEncoder.Load(Path.Combine(Model, "text_encoder", "model.onnx"), 1);
        using OnnxTextEncoder sequenceEncoder = OnnxTextEncoder.Load(Path.Combine(Model, "text_encoder_2", "model.onnx"), 1);

        TextFeatures pooled = pooledEncoder.Encode([Ids(golden, "input_ids")], TestContext.Current.CancellationToken);
        TextFeatures hidden = sequenceEncoder.Encode([Ids(golden, "input_ids_2")], TestContext.Current.CancellationToken);

        Assert.Equal((1, 24, 0, 128), (pooled.Batch, pooled.Tokens, pooled.Width, pooled.PooledWidth));
        Assert.Equal((1, 24, 128, 0), (hidden.Batch, hidden.Tokens, hidden.Width, hidden.PooledWidth));
        AssertClose(golden.Get("pooled").ToArray(), pooled.Pooled, 2e-5f);
        AssertClose(golden.Get("hidden_states").ToArray(), hidden.HiddenStates, 2e-5f);
    }

    [Fact]
    public void A_batch_of_texts_gives_the_features_of_each()
    {
        using SafetensorsFile first = Golden(0);
        using SafetensorsFile second = Golden(1);
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(Path.Combine(Model, "text_encoder_2", "model.onnx"), 2);

        TextFeatures features = encoder.Encode([Ids(first, "input_ids_2"), Ids(second, "input_ids_2")], TestContext.Current.CancellationToken);

        Assert.Equal(2, features.Batch);
        AssertClose([.. first.Get("hidden_states").ToArray(), .. second.Get("hidden_states").ToArray()], features.HiddenStates, 2e-5f);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void The_decoder_gives_the_golden_image_and_picture(int index)
    {
        using SafetensorsFile golden = Golden(index);
        using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 2);

        ImagePlanes planes = decoder.Decode(golden.Get("final_latent").ToArray(), 1, 16, 16, TestContext.Current.CancellationToken);

        Assert.Equal((1, 128, 128), (planes.Batch, planes.Height, planes.Width));
        AssertClose(golden.Get("image").ToArray(), planes.Values, 1e-4f);
    }

    [Fact]
    public void The_number_of_threads_does_not_change_a_bit()
    {
        using SafetensorsFile golden = Golden(0);
        using OnnxVaeDecoder one = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 1);
        using OnnxVaeDecoder three = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 3);
        float[] latent = golden.Get("final_latent").ToArray();

        Assert.Equal(
            one.Decode(latent, 1, 16, 16, TestContext.Current.CancellationToken).Values,
            three.Decode(latent, 1, 16, 16, TestContext.Current.CancellationToken).Values);
    }

    [Fact]
    public void Other_sizes_and_batches_decode()
    {
        using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 1);

        ImagePlanes planes = decoder.Decode(new float[2 * 16 * 4 * 6], 2, 4, 6, TestContext.Current.CancellationToken);

        Assert.Equal((2, 32, 48), (planes.Batch, planes.Height, planes.Width));
    }

    [Fact]
    public void A_cancelled_run_throws_and_the_next_one_works()
    {
        using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 1);
        using CancellationTokenSource soon = new();

        // 1024 x 1024 pixels take seconds: the token fires while the graph runs. A thread of its own, for the pool's may all be busy.
        new Thread(() =>
        {
            Thread.Sleep(20);
            soon.Cancel();
        }).Start();
        Assert.ThrowsAny<OperationCanceledException>(() => decoder.Decode(new float[16 * 128 * 128], 1, 128, 128, soon.Token));
        Assert.Equal(32, decoder.Decode(new float[16 * 4 * 4], 1, 4, 4, TestContext.Current.CancellationToken).Width);
    }

    [Fact]
    public void Texts_of_a_wrong_length_are_refused()
    {
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(Path.Combine(Model, "text_encoder", "model.onnx"), 1);
        var text = new TokenizedText(new int[23], new int[23]);

        var e = Assert.Throws<ShapeException>(() => encoder.Encode([text], TestContext.Current.CancellationToken));

        Assert.Equal(24, encoder.SequenceLength);
        Assert.Contains("takes 24 tokens per text, not 23", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_latent_of_a_wrong_size_is_refused()
    {
        using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(Path.Combine(Model, "vae_decoder", "model.onnx"), 1);

        var e = Assert.Throws<ShapeException>(() => decoder.Decode(new float[15 * 4 * 4], 1, 4, 4, TestContext.Current.CancellationToken));

        Assert.Contains("not [1, 16, 4, 4]", e.Message, StringComparison.Ordinal);
    }

    private static SafetensorsFile Golden(int index) =>
        SafetensorsFile.Open(Repository.File("tests", "golden", "shapes-flux", $"{index}.safetensors"));

    private static TokenizedText Ids(SafetensorsFile golden, string name)
    {
        int[] ids = Array.ConvertAll(golden.Get(name).ToArray(), v => (int)v);
        return new TokenizedText(ids, Array.ConvertAll(ids, _ => 1));
    }

    private static void AssertClose(float[] expected, float[] actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        float worst = expected.Zip(actual, (a, b) => float.IsNaN(a - b) ? float.PositiveInfinity : Math.Abs(a - b)).Max();
        Assert.True(worst <= tolerance, $"largest absolute error {worst:g3}, allowed {tolerance:g3}");
    }
}
