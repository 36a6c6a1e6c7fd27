using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Weights;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace DiCacheNative.Onnx;

/// <summary>A graph loaded by ONNX Runtime on the CPU: typed errors, cancellation, and binary32 outputs whatever the graph computes in.</summary>
internal sealed class OnnxSession : IDisposable
{
    private readonly InferenceSession _session;

    private OnnxSession(string path, InferenceSession session) => (Path, _session) = (path, session);

    public string Path { get; }

    public IReadOnlyDictionary<string, NodeMetadata> Inputs => _session.InputMetadata;

    public IReadOnlyDictionary<string, NodeMetadata> Outputs => _session.OutputMetadata;

    public IReadOnlyList<string> OutputNames => _session.OutputNames;

    public static OnnxSession Load(string path, int threads)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        OnnxRuntimeLibrary.Require();
        InputFile.Open(path, out _).Dispose();

        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        options.AddSessionConfigEntry("session.use_deterministic_compute", "1");

        // The graph runs twice per picture; between the runs the cores belong to the transformer.
        options.AddSessionConfigEntry("session.force_spinning_stop", "1");
        try
        {
            return new OnnxSession(path, new InferenceSession(path, options));
        }
        catch (Exception e) when (IsRuntimeError(e))
        {
            throw new ModelFormatException(path, InputFile.DescribeForeign(path, FileKind.Onnx) ?? $"ONNX Runtime cannot load it: {e.Message}", e);
        }
    }

    /// <summary>Runs the graph; each result is its dimensions and its values as binary32.</summary>
    public (long[] Shape, float[] Values)[] Run(
        IReadOnlyDictionary<string, OrtValue> inputs, IReadOnlyCollection<string> outputs, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using var options = new RunOptions();

        // An autoencoder leaves gigabytes in ONNX Runtime's arena that the next step could use better.
        options.AddRunConfigEntry("memory.enable_memory_arena_shrinkage", "cpu:0");
        using CancellationTokenRegistration registration = cancellationToken.Register(() => options.Terminate = true);
        try
        {
            using IDisposableReadOnlyCollection<OrtValue> results = _session.Run(options, inputs, outputs);
            cancellationToken.ThrowIfCancellationRequested();
            return [.. results.Select(Read)];
        }
        catch (Exception e) when (IsRuntimeError(e))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new BackendException($"ONNX Runtime could not run {Path}: {e.Message}", e);
        }
    }

    /// <summary>An integer input in the type the graph wants (int64 or int32).</summary>
    public OrtValue Integers(string name, int[] values, long[] shape) => Inputs[name].ElementDataType switch
    {
        TensorElementType.Int64 => OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(values, v => (long)v), shape),
        TensorElementType.Int32 => OrtValue.CreateTensorValueFromMemory(values, shape),
        TensorElementType other => throw new ModelFormatException(Path, $"input '{name}' is {other}, an integer type is needed"),
    };

    /// <summary>A floating-point input in the type the graph wants (binary32 or binary16).</summary>
    public OrtValue Floats(string name, float[] values, long[] shape) => Inputs[name].ElementDataType switch
    {
        TensorElementType.Float => OrtValue.CreateTensorValueFromMemory(values, shape),
        TensorElementType.Float16 => OrtValue.CreateTensorValueFromMemory(
            Array.ConvertAll(values, v => new Float16(BitConverter.HalfToUInt16Bits((Half)v))), shape),
        TensorElementType other => throw new ModelFormatException(Path, $"input '{name}' is {other}, a floating-point type is needed"),
    };

    public void Dispose() => _session.Dispose();

    private (long[] Shape, float[] Values) Read(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        float[] values = info.ElementDataType switch
        {
            TensorElementType.Float => value.GetTensorDataAsSpan<float>().ToArray(),
            TensorElementType.Float16 => Widen(value.GetTensorDataAsSpan<Float16>()),
            TensorElementType other => throw new ModelFormatException(Path, $"an output is {other}, binary32 or binary16 is needed"),
        };
        return (info.Shape, values);
    }

    private static float[] Widen(ReadOnlySpan<Float16> source)
    {
        ReadOnlySpan<Half> halves = MemoryMarshal.Cast<Float16, Half>(source);
        float[] values = new float[halves.Length];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)halves[i];
        }

        return values;
    }

    // The API looks codes up in a table that is older than some of them: an unknown one surfaces as KeyNotFoundException.
    private static bool IsRuntimeError(Exception e) => e is OnnxRuntimeException or KeyNotFoundException;
}
