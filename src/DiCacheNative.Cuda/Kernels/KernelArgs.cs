using System.Runtime.InteropServices;
using DiCacheNative.Tensors;

// The arguments of the kernels, field by field as in kernels/*.cu and *.cuh; a test compares the layouts with the compiler's.
namespace DiCacheNative.Cuda.Kernels;

/// <summary>struct Rows: one tensor operand. Address 0 for an operand that is left out.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Rows
{
    public nint Data;
    public long BatchStride;
    public long RowStride;

    /// <summary>A single sample serves every sample of the launch.</summary>
    public static implicit operator Rows(in Tensor t) =>
        new() { Data = t.Data, BatchStride = t.Batch == 1 ? 0 : t.BatchStride, RowStride = t.RowStride };
}

/// <summary>struct Vector: an F32 vector per sample, or one for all.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Vector
{
    public nint Data;
    public long BatchStride;

    /// <summary>From F32 [B or 1, 1, D].</summary>
    public static implicit operator Vector(in Tensor t) => new() { Data = t.Data, BatchStride = t.Batch == 1 ? 0 : t.BatchStride };
}

/// <summary>struct ModulationArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ModulationArgs
{
    public Vector Shift;
    public Vector Scale;
    public float Offset;
    public float Epsilon;
}

/// <summary>struct LayerNormModulateArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LayerNormModulateArgs
{
    public Rows X;
    public Rows Y;
    public ModulationArgs Modulation;
    public int Cols;
    public int Wide;
}

/// <summary>struct ProbeArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ProbeArgs
{
    public Rows PreviousProbe;
    public Rows Input;
    public Rows PreviousInput;
    public Rows OlderResidual;
    public Rows NewerResidual;
    public nint Partials;
}

/// <summary>struct ProbeL1Args.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ProbeL1Args
{
    public Rows Probe;
    public ProbeArgs Inputs;
    public int Cols;
    public int Wide;
}

/// <summary>struct GatedResidualArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GatedResidualArgs
{
    public Rows X;
    public Rows Y;
    public Vector Gate;
    public Rows Into;
    public Rows Normed;
    public ModulationArgs Modulation;
    public ProbeArgs Probe;
    public Rows Origin;
    public Rows Residual;
    public int Cols;
    public int Wide;
}

/// <summary>struct TrajectoryBlendArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TrajectoryBlendArgs
{
    public Rows Input;
    public Rows Newer;
    public Rows Older;
    public nint Gamma;
    public Rows Into;
    public Rows Normed;
    public ModulationArgs Modulation;
    public int Cols;
    public int Wide;
}

/// <summary>struct QkNormRopeArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct QkNormRopeArgs
{
    public Rows Q;
    public Rows K;
    public nint QScale;
    public nint KScale;
    public Rows Cos;
    public Rows Sin;
    public int QRows;
    public int KRows;
    public int Heads;
    public int HeadWidth;
    public int TableRows;
    public int QNormOverRow;
    public int KNormOverRow;
    public float Epsilon;
    public int Wide;
}

/// <summary>struct AttentionArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct AttentionArgs
{
    public Rows Q;
    public Rows K;
    public Rows V;
    public Rows O;
    public int QRows;
    public int KRows;
    public int HeadWidth;
    public float Scale;
    public int Wide;
}

/// <summary>struct ActivateArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ActivateArgs
{
    public Rows X;
    public Rows Y;
    public nint Bias;
    public int RowCount;
    public int Cols;
    public int Activation;
    public int Wide;
}

/// <summary>struct SubtractArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SubtractArgs
{
    public Rows A;
    public Rows B;
    public Rows Into;
    public int RowCount;
    public int Cols;
    public int Wide;
}

/// <summary>struct GuideArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GuideArgs
{
    public Rows Cond;
    public Rows Uncond;
    public Rows Into;
    public nint Scale;
    public int RowCount;
    public int Cols;
    public int Wide;
}

/// <summary>struct EulerStepArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct EulerStepArgs
{
    public Rows X;
    public Rows Velocity;
    public nint Dt;
    public int RowCount;
    public int Cols;
    public int Wide;
}

/// <summary>struct FrameworkOpArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FrameworkOpArgs
{
    public Rows X;
    public Rows Y;
    public Rows Into;
    public nint Gamma;
    public int RowCount;
    public int Cols;
    public int Wide;
}

/// <summary>struct RowSumArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RowSumArgs
{
    public Rows X;
    public nint Partials;
    public int Cols;
    public int Wide;
}

/// <summary>struct MeanRowsArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MeanRowsArgs
{
    public Rows X;
    public Rows Y;
    public int RowCount;
    public int Cols;
}

/// <summary>struct TimestepEmbedArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TimestepEmbedArgs
{
    public Rows Values;
    public Rows Y;
    public double LogMaxPeriod;
    public int Half;
}

/// <summary>struct PatchArgs.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PatchArgs
{
    public Rows Latents;
    public Rows Tokens;
    public int Channels;
    public int Frames;
    public int Height;
    public int Width;
    public int PatchFrames;
    public int PatchHeight;
    public int PatchWidth;
    public int ChannelsFirst;
}
