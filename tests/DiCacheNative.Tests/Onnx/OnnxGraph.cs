using System.Text;

namespace DiCacheNative.Tests.Onnx;

/// <summary>Writes small ONNX graphs (opset 11), as much of the protobuf format as they need.</summary>
internal sealed class OnnxGraph
{
    public const int Float = 1, Int32 = 6, Int64 = 7, Float16 = 10;

    private readonly List<byte> _graph = [];

    /// <summary>An operation with attributes that are an integer or a list of integers.</summary>
    public OnnxGraph Node(string operation, string[] inputs, string output, params (string Name, long[] Values, bool IsList)[] attributes)
    {
        List<byte> node = [];
        foreach (string input in inputs)
        {
            Text(node, 1, input);
        }

        Text(node, 2, output);
        Text(node, 4, operation);
        foreach ((string name, long[] values, bool isList) in attributes)
        {
            List<byte> attribute = [];
            Text(attribute, 1, name);
            foreach (long value in values)
            {
                Number(attribute, isList ? 8 : 3, value);
            }

            Number(attribute, 20, isList ? 7 : 2);
            Message(node, 5, attribute);
        }

        Message(_graph, 1, node);
        return this;
    }

    /// <summary>An input; null is a dimension of any size.</summary>
    public OnnxGraph Input(string name, int type, params int?[] shape) => Value(11, name, type, shape);

    /// <summary>An output; null is a dimension of any size.</summary>
    public OnnxGraph Output(string name, int type, params int?[] shape) => Value(12, name, type, shape);

    public void Save(string path)
    {
        List<byte> graph = [.. _graph];
        Text(graph, 2, "g");
        List<byte> opset = [];
        Number(opset, 2, 11);
        List<byte> model = [];
        Number(model, 1, 7);
        Message(model, 7, graph);
        Message(model, 8, opset);
        File.WriteAllBytes(path, [.. model]);
    }

    private OnnxGraph Value(int field, string name, int type, int?[] shape)
    {
        List<byte> dimensions = [];
        for (int i = 0; i < shape.Length; i++)
        {
            List<byte> dimension = [];
            if (shape[i] is { } size)
            {
                Number(dimension, 1, size);
            }
            else
            {
                Text(dimension, 2, $"{name}_{i}");
            }

            Message(dimensions, 1, dimension);
        }

        List<byte> tensor = [];
        Number(tensor, 1, type);
        Message(tensor, 2, dimensions);
        List<byte> wrapped = [];
        Message(wrapped, 1, tensor);
        List<byte> value = [];
        Text(value, 1, name);
        Message(value, 2, wrapped);
        Message(_graph, field, value);
        return this;
    }

    private static void Text(List<byte> to, int field, string text) => Message(to, field, [.. Encoding.UTF8.GetBytes(text)]);

    private static void Message(List<byte> to, int field, List<byte> content)
    {
        Varint(to, (ulong)((field << 3) | 2));
        Varint(to, (ulong)content.Count);
        to.AddRange(content);
    }

    private static void Number(List<byte> to, int field, long value)
    {
        Varint(to, (ulong)(field << 3));
        Varint(to, (ulong)value);
    }

    private static void Varint(List<byte> to, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            to.Add((byte)(value | 0x80));
        }

        to.Add((byte)value);
    }
}
