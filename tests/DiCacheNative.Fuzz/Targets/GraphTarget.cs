using DiCacheNative.Models;
using DiCacheNative.Onnx;
using DiCacheNative.Pipelines;
using DiCacheNative.Tests.Onnx;
using DiCacheNative.Text;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>Small graphs in place of text encoders and decoders: what they declare and what they give need not agree.</summary>
internal sealed class GraphTarget() : Target("graph", 12, typeof(Tensors.ShapeException))
{
    private static readonly int[] s_types = [OnnxGraph.Float, OnnxGraph.Float, OnnxGraph.Float, OnnxGraph.Float16, OnnxGraph.Int64, OnnxGraph.Int32];

    public override void Run(Random random, string folder)
    {
        int kind = random.Next(3);
        OnnxGraph graph = new();
        if (random.Next(3) == 0)
        {
            RunAlmostRight(random, folder, graph, kind == 0);
            return;
        }

        int rank = kind == 0 ? 2 : kind + 3;
        int inputRank = random.Next(12) == 0 ? random.Next(7) : rank;
        string input = random.Next(20) == 0 ? "other" : kind == 0 ? "input_ids" : "latent";
        int inputType = random.Next(12) == 0 ? s_types[random.Next(s_types.Length)] : kind == 0 ? OnnxGraph.Int64 : OnnxGraph.Float;
        graph.Input(input, inputType, Dims(random, inputRank));
        if (kind == 0 && random.Next(2) == 0)
        {
            graph.Input("attention_mask", OnnxGraph.Int64, Dims(random, random.Next(8) == 0 ? random.Next(4) : 2));
        }

        graph.Node("Cast", [input], "x0", ("to", [random.Next(12) == 0 ? s_types[random.Next(s_types.Length)] : OnnxGraph.Float], false));
        int count = random.Next(4);
        for (int i = 0; i < count; i++)
        {
            Operation(random, graph, $"x{i}", $"x{i + 1}");
        }

        graph.Node("Identity", [$"x{count}"], "y");
        graph.Output("y", s_types[random.Next(3)], Dims(random, random.Next(3) == 0 ? random.Next(7) : kind == 0 ? random.Next(2, 4) : rank));
        string path = Path.Combine(folder, "model.onnx");
        graph.Save(path);
        if (random.Next(6) == 0)
        {
            File.WriteAllBytes(path, Mutation.Damage(random, File.ReadAllBytes(path)));
        }

        switch (kind)
        {
            case 0:
                using (OnnxTextEncoder encoder = OnnxTextEncoder.Load(path, 1))
                {
                    int length = encoder.SequenceLength is { } l and <= 64 ? l : 4;
                    encoder.Encode([.. Enumerable.Range(0, random.Next(1, 3)).Select(_ => new TokenizedText(new int[length], new int[length]))]);
                }

                break;
            case 1:
                using (OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(path, 1))
                {
                    int channels = Math.Clamp(decoder.LatentChannels ?? 4, 1, 64);
                    decoder.Decode(new float[channels * 6], 1, 2, 3);
                }

                break;
            default:
                using (OnnxVideoDecoder decoder = OnnxVideoDecoder.Load(path, 1, VideoTiling.Default))
                {
                    int channels = Math.Clamp(decoder.LatentChannels ?? 4, 1, 64);
                    decoder.Decode(new float[channels * 12], new LatentSize(2, 2, 3));
                }

                break;
        }
    }

    // A graph that works, but for the number of dimensions or the size of what it gives.
    private static void RunAlmostRight(Random random, string folder, OnnxGraph graph, bool isText)
    {
        string path = Path.Combine(folder, "model.onnx");
        string last = "x0";
        graph.Input(isText ? "input_ids" : "latent", isText ? OnnxGraph.Int64 : OnnxGraph.Float, isText ? [null, null] : [null, 3, null, null]);
        graph.Node("Cast", [isText ? "input_ids" : "latent"], last, ("to", [OnnxGraph.Float], false));
        if (isText)
        {
            graph.Node("Unsqueeze", [last], "x1", ("axes", [2], true));
            last = "x1";
        }

        if (random.Next(2) == 0)
        {
            Operation(random, graph, last, "x2");
            last = "x2";
        }

        graph.Node("Identity", [last], "y").Output("y", OnnxGraph.Float, isText ? [null, null, null] : [null, null, null, null]).Save(path);
        if (isText)
        {
            using OnnxTextEncoder encoder = OnnxTextEncoder.Load(path, 1);
            encoder.Encode([new TokenizedText([1, 2, 3, 4], [1, 1, 1, 1])]);
        }
        else
        {
            using OnnxVaeDecoder decoder = OnnxVaeDecoder.Load(path, 1);
            decoder.Decode(new float[18], 1, 2, 3);
        }
    }

    private static int?[] Dims(Random random, int rank) =>
        [.. Enumerable.Range(0, rank).Select(_ => random.Next(3) == 0 ? random.Next(-1, 6) : (int?)null)];

    private static void Operation(Random random, OnnxGraph graph, string from, string to)
    {
        switch (random.Next(6))
        {
            case 0:
                graph.Node("Unsqueeze", [from], to, ("axes", [random.Next(4)], true));
                break;
            case 1:
                graph.Node("Squeeze", [from], to);
                break;
            case 2:
                graph.Node("ReduceMean", [from], to, ("axes", [.. Enumerable.Range(0, random.Next(1, 4)).Select(i => (long)i)], true),
                    ("keepdims", [random.Next(2)], false));
                break;
            case 3:
                graph.Node("Flatten", [from], to, ("axis", [random.Next(4)], false));
                break;
            case 4:
                graph.Node("Concat", [from, from], to, ("axis", [random.Next(4)], false));
                break;
            default:
                graph.Node("Transpose", [from], to);
                break;
        }
    }
}
