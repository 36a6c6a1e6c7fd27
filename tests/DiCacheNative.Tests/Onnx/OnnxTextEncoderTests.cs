using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;

namespace DiCacheNative.Tests.Onnx;

/// <summary>Layouts of other exporters, on a graph whose hidden states are id * mask and whose pooled vector is their sum.</summary>
public sealed class OnnxTextEncoderTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("onnx-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData(true, new float[] { 5, 7, 0, 2, 0, 0 }, new float[] { 12, 2 })]
    [InlineData(false, new float[] { 5, 7, 9, 2, 3, 4 }, new float[] { 21, 9 })]
    public void A_mask_hides_padding_when_asked(bool maskPadding, float[] hidden, float[] pooled)
    {
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(Graph(OnnxGraph.Int64, OnnxGraph.Float, "last_hidden_state", "pooler_output"), 1, maskPadding);

        TextFeatures features = encoder.Encode([new([5, 7, 9], [1, 1, 0]), new([2, 3, 4], [1, 0, 0])], TestContext.Current.CancellationToken);

        Assert.Equal((2, 3, 1, 1), (features.Batch, features.Tokens, features.Width, features.PooledWidth));
        Assert.Equal(hidden, features.HiddenStates);
        Assert.Equal(pooled, features.Pooled);
        Assert.Null(encoder.SequenceLength);
    }

    [Fact]
    public void Other_names_and_types_are_understood()
    {
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(Graph(OnnxGraph.Int32, OnnxGraph.Float16, "x", "y"), 1);

        TextFeatures features = encoder.Encode([new([5, 7], [1, 1])], TestContext.Current.CancellationToken);

        Assert.Equal([5f, 7f], features.HiddenStates);
        Assert.Equal([12f], features.Pooled);
    }

    [Fact]
    public void Texts_of_different_lengths_are_refused()
    {
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(Graph(OnnxGraph.Int64, OnnxGraph.Float, "x", "y"), 1);

        Assert.Throws<ShapeException>(() => encoder.Encode([], TestContext.Current.CancellationToken));
        Assert.Throws<ShapeException>(() => encoder.Encode([new([1], [1]), new([1, 2], [1, 1])], TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData(2, 3)]
    [InlineData(1, 1)]
    [InlineData(1, 3)]
    public void A_graph_that_gives_another_number_of_dimensions_than_it_declares_is_an_error_of_the_file(int texts, int tokens)
    {
        // What Squeeze leaves is known only when it runs.
        string path = Path.Combine(_directory, "squeezed.onnx");
        new OnnxGraph().Input("input_ids", OnnxGraph.Int64, null, null).Node("Cast", ["input_ids"], "f", ("to", [OnnxGraph.Float], false))
            .Node("Squeeze", ["f"], "hidden_states").Output("hidden_states", OnnxGraph.Float, null, null, null).Save(path);
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(path, 1);
        DiCacheNative.Text.TokenizedText text = new(new int[tokens], new int[tokens]);

        var e = Assert.Throws<ModelFormatException>(() => encoder.Encode([.. Enumerable.Repeat(text, texts)], TestContext.Current.CancellationToken));

        Assert.Contains("output 'hidden_states' is [", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void A_decoder_that_gives_another_number_of_dimensions_than_it_declares_is_an_error_of_the_file(int rank)
    {
        int?[] shape = new int?[rank];
        string path = Path.Combine(_directory, "decoder.onnx");
        new OnnxGraph().Input("latent", OnnxGraph.Float, shape).Node("Squeeze", ["latent"], "image").Output("image", OnnxGraph.Float, shape).Save(path);

        ModelFormatException e;
        if (rank == 4)
        {
            using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(path, 1);
            e = Assert.Throws<ModelFormatException>(() => decoder.Decode(new float[1], 1, 1, 1, TestContext.Current.CancellationToken));
        }
        else
        {
            using OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(path, 1);
            e = Assert.Throws<ModelFormatException>(() => decoder.Decode(new float[1], new DiCacheNative.Models.LatentSize(1, 1, 1),
                TestContext.Current.CancellationToken));
        }

        Assert.Contains("was expected", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_input_that_is_not_known_is_named()
    {
        string path = Path.Combine(_directory, "extra.onnx");
        new OnnxGraph().Input("input_ids", OnnxGraph.Int64, null, null).Input("position_ids", OnnxGraph.Int64, null, null)
            .Node("Add", ["input_ids", "position_ids"], "s").Node("Cast", ["s"], "f", ("to", [OnnxGraph.Float], false))
            .Output("f", OnnxGraph.Float, null, null).Save(path);

        var e = Assert.Throws<ModelFormatException>(() => OnnxTextEncoder.Load(path, 1));

        Assert.Contains("input 'position_ids' is not known", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Features_that_are_not_finite_are_an_error_that_names_file_and_output()
    {
        string path = Path.Combine(_directory, "divides.onnx");
        new OnnxGraph().Input("input_ids", OnnxGraph.Int64, null, null).Input("attention_mask", OnnxGraph.Int64, null, null)
            .Node("Cast", ["input_ids"], "f", ("to", [OnnxGraph.Float], false)).Node("Cast", ["attention_mask"], "m", ("to", [OnnxGraph.Float], false))
            .Node("Div", ["f", "m"], "pooled").Output("pooled", OnnxGraph.Float, null, null).Save(path);
        using OnnxTextEncoder encoder = OnnxTextEncoder.Load(path, 1);

        Assert.Equal([5f, 7f], encoder.Encode([new([5, 7], [1, 1])], TestContext.Current.CancellationToken).Pooled);
        var e = Assert.Throws<NonFiniteException>(() => encoder.Encode([new([5, 7], [1, 0])], TestContext.Current.CancellationToken));

        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.Contains("'pooled'", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Outputs_that_could_be_either_are_not_guessed()
    {
        string path = Path.Combine(_directory, "two.onnx");
        new OnnxGraph().Input("input_ids", OnnxGraph.Int64, null, null)
            .Node("Cast", ["input_ids"], "a", ("to", [OnnxGraph.Float], false)).Node("Neg", ["a"], "b")
            .Output("a", OnnxGraph.Float, null, null).Output("b", OnnxGraph.Float, null, null).Save(path);

        var e = Assert.Throws<ModelFormatException>(() => OnnxTextEncoder.Load(path, 1));

        Assert.Contains("no text features among its outputs (a, b)", e.Message, StringComparison.Ordinal);
    }

    private string Graph(int idType, int outputType, string hidden, string pooled)
    {
        string path = Path.Combine(_directory, "model.onnx");
        new OnnxGraph()
            .Input("input_ids", idType, null, null)
            .Input("attention_mask", idType, null, null)
            .Node("Mul", ["input_ids", "attention_mask"], "masked")
            .Node("Cast", ["masked"], "values", ("to", [OnnxGraph.Float], false))
            .Node("Unsqueeze", ["values"], "states", ("axes", [2], true))
            .Node("ReduceSum", ["states"], "sum", ("axes", [1], true), ("keepdims", [0], false))
            .Node("Cast", ["states"], hidden, ("to", [outputType], false))
            .Node("Cast", ["sum"], pooled, ("to", [outputType], false))
            .Output(hidden, outputType, null, null, 1)
            .Output(pooled, outputType, null, 1)
            .Save(path);
        return path;
    }
}
