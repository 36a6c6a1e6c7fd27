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

    /// <summary>Receives warnings and notes, one sentence each. The library itself never writes to the console.</summary>
    public Action<string>? Log { get; init; }
}
