using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Lifetimes;
using DiCacheNative.Weights;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace DiCacheNative.Onnx;

/// <summary>A graph loaded by ONNX Runtime on the CPU: typed errors, cancellation, and binary32 outputs whatever the graph computes in.</summary>
internal sealed class OnnxSession : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunningWork _running;

    private OnnxSession(string path, InferenceSession session, string owner)
    {
        (Path, _session) = (path, session);
        _running = new RunningWork(owner, session.Dispose);
    }

    public string Path { get; }

    public IReadOnlyDictionary<string, NodeMetadata> Inputs => _session.InputMetadata;

    public IReadOnlyDictionary<string, NodeMetadata> Outputs => _session.OutputMetadata;

    public IReadOnlyList<string> OutputNames => _session.OutputNames;

    /// <summary>Loads a graph.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="threads">Threads it may use, at least 1.</param>
    /// <param name="owner">Name of the public type that uses it, for messages about its Dispose.</param>
    public static OnnxSession Load(string path, int threads, string owner)
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
            return new OnnxSession(path, new InferenceSession(path, options), owner);
        }
        catch (Exception e) when (IsRuntimeError(e))
        {
            throw new ModelFormatException(path, InputFile.DescribeForeign(path, FileKind.Onnx) ?? $"ONNX Runtime cannot load it: {e.Message}", e);
        }
    }

    /// <summary>Runs the graph; each result is its dimensions and its values as binary32.</summary>
    /// <exception cref="NonFiniteException">A result holds NaN or infinity.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed, before or meanwhile.</exception>
    public (long[] Shape, float[] Values)[] Run(
        IReadOnlyDictionary<string, OrtValue> inputs, IReadOnlyCollection<string> outputs, CancellationToken cancellationToken) =>
        _running.Run(token => RunNative(inputs, outputs, token), cancellationToken);

    private (long[] Shape, float[] Values)[] RunNative(
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
            return [.. results.Zip(outputs, Read)];
        }
        catch (Exception e) when (IsRuntimeError(e))
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new BackendException($"ONNX Runtime could not run {Path}: {e.Message}", e);
        }
    }

    /// <summary>Whether an input or output is declared as a tensor of so many dimensions.</summary>
    public static bool HasRank(NodeMetadata declared, int rank) => declared.IsTensor && declared.Dimensions.Length == rank;

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

    /// <summary>Frees the graph; runs under way are ended and waited for, later ones are refused. May be called twice.</summary>
    public void Dispose() => _running.Dispose();

    private (long[] Shape, float[] Values) Read(OrtValue value, string name)
    {
        if (!value.IsTensor)
        {
            throw new ModelFormatException(Path, $"an output is a {value.OnnxType}, a tensor is needed");
        }

        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        float[] values = info.ElementDataType switch
        {
            TensorElementType.Float => value.GetTensorDataAsSpan<float>().ToArray(),
            TensorElementType.Float16 => Widen(value.GetTensorDataAsSpan<Float16>()),
            TensorElementType other => throw new ModelFormatException(Path, $"an output is {other}, binary32 or binary16 is needed"),
        };
        return Finite.All(values) ? (info.Shape, values) : throw new NonFiniteException(
            $"{Path} gave NaN or infinity as '{name}': the file is damaged, or its precision does not hold these values");
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
