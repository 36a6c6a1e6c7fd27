namespace DiCacheNative.Cli;

/// <summary>What a command line asks to be written.</summary>
internal sealed record OutputTargets
{
    /// <summary>The name given; null for the default.</summary>
    public string? Output { get; init; }

    /// <summary>Where the trace of the cache goes; null for nowhere.</summary>
    public string? Trace { get; init; }

    /// <summary>Whether the model makes videos.</summary>
    public required bool Video { get; init; }

    /// <summary>Number of images.</summary>
    public int Images { get; init; } = 1;

    /// <summary>Frames of the video; null for the model's own number.</summary>
    public int? Frames { get; init; }

    /// <summary>Frames per second; null for the model's own.</summary>
    public double? Fps { get; init; }

    /// <summary>Pixels across; 0 for the model's own number.</summary>
    public int Width { get; init; }

    /// <summary>Pixels down; 0 for the model's own number.</summary>
    public int Height { get; init; }

    /// <summary>Whether a report goes to standard output.</summary>
    public bool Json { get; init; }
}
