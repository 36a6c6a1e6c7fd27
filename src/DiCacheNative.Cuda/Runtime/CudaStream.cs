using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>A stream with what operations on it need: transfer buffers, scratch memory, and the plan being recorded, if any.</summary>
internal sealed class CudaStream : IDisposable
{
    // Uploads inside a step are scalars; latents of a video take a few slots in turn.
    private const int SlotBytes = 1 << 18;
    private const int Slots = 4;

    private readonly StreamHandle _handle;
    private readonly DeviceScratch _scratch;

    public CudaStream(ContextHandle context)
    {
        _handle = StreamHandle.Create(context);
        _scratch = new DeviceScratch(context);
        Staging = new StagingRing(context, SlotBytes, Slots);
    }

    public nint Handle => _handle.Value;

    public StagingRing Staging { get; }

    /// <summary>The plan whose operations are being issued or captured on this stream; null when operations are nobody's.</summary>
    public PlanRecording? Recording { get; set; }

    /// <summary>True when operations are captured instead of run.</summary>
    public bool Capturing => Recording is { Capturing: true };

    /// <summary>Scratch memory of the plan whose operations are issued, else of the stream.</summary>
    public DeviceScratch Scratch => Recording?.Scratch ?? _scratch;

    public void Dispose()
    {
        Staging.Dispose();
        _scratch.Dispose();
        _handle.Dispose();
    }
}

/// <summary>What a plan must own: its scratch memory.</summary>
internal sealed class PlanRecording(ContextHandle context) : IDisposable
{
    public DeviceScratch Scratch { get; } = new(context);

    /// <summary>True while operations are captured, false while they run.</summary>
    public bool Capturing { get; set; }

    public void Dispose() => Scratch.Dispose();
}
