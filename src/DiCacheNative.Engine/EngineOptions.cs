using DiCacheNative.Pipelines;

namespace DiCacheNative;

/// <summary>How an engine is loaded.</summary>
public sealed record EngineOptions
{
    /// <summary>Which backend runs the transformer.</summary>
    public BackendKind Backend { get; init; } = BackendKind.Auto;

    /// <summary>In what the transformer computes.</summary>
    public BackendPrecision Precision { get; init; } = BackendPrecision.Auto;

    /// <summary>CPU threads for the CPU backend, text encoders and VAE; 0 for all cores.</summary>
    public int Threads { get; init; }

    /// <summary>Transformer checkpoint to use instead of the one in the model folder: a folder or a .safetensors file.</summary>
    public string? DiffusionModel { get; init; }

    /// <summary>How latents of a video are cut for decoding: smaller tiles need less memory, larger ones have fewer seams.</summary>
    public VideoTiling VideoTiling { get; init; } = VideoTiling.Default;

    /// <summary>
    /// How latents of an image are cut for decoding; null to decode images whole where memory allows it, and in tiles of <see cref="ImageTiling.Default"/>
    /// where it does not, which the notes of the result tell.
    /// </summary>
    public ImageTiling? ImageTiling { get; init; }

    /// <summary>How much host memory is free, in tests; null to ask the system.</summary>
    internal Func<long>? FreeHostMemory { get; init; }

    /// <summary>Receives warnings and notes, one sentence each. The library itself never writes to the console.</summary>
    public Action<string>? Log { get; init; }
}
