using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using DiCacheNative.Cpu.Threading;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>How a <see cref="CpuWeight"/> lies in memory.</summary>
internal enum WeightLayout
{
    /// <summary>Panels of <see cref="CpuWeight.PanelWidth"/> rows of W, transposed: the managed kernels' own.</summary>
    Panels,

    /// <summary>W [N, K] as it is: what oneDNN takes.</summary>
    Plain,
}

/// <summary>The weight of a linear layer in host memory, F32, or BF16 or F16 where all its parts are.</summary>
internal sealed unsafe class CpuWeight : LinearWeight
{
    private byte* _data;
    private float* _bias;

    /// <summary>Allocates a weight to be filled.</summary>
    /// <exception cref="BackendException">Not enough memory.</exception>
    internal CpuWeight(string name, int outFeatures, int inFeatures, DType type, WeightLayout layout, int panelWidth)
        : base(name, outFeatures, inFeatures)
    {
        (Type, Layout, PanelWidth) = (type, layout, panelWidth);
        Panels = (outFeatures + panelWidth - 1) / panelWidth;
        long rows = layout == WeightLayout.Panels ? (long)Panels * panelWidth : outFeatures;
        DataBytes = rows * inFeatures * type.Size();
        try
        {
            _data = (byte*)NativePages.Allocate(DataBytes);
            _bias = (float*)NativePages.Allocate((long)Panels * panelWidth * sizeof(float));
        }
        catch (OutOfMemoryException error)
        {
            NativePages.Free(_data);
            GC.SuppressFinalize(this);
            throw new BackendException($"not enough memory for the weight {name} [{outFeatures}, {inFeatures}] {type}: {DataBytes:N0} bytes needed", error);
        }

        NativeMemory.Clear(_bias, (nuint)((long)Panels * panelWidth * sizeof(float)));
    }

    ~CpuWeight() => Dispose(false);

    /// <inheritdoc/>
    public override long Bytes => DataBytes + ((long)Panels * PanelWidth * sizeof(float));

    internal DType Type { get; }

    internal WeightLayout Layout { get; }

    /// <summary>Rows of W per panel, as wide as a register tile. The last panel is filled up with zeros.</summary>
    internal int PanelWidth { get; }

    /// <summary>Number of panels.</summary>
    internal int Panels { get; }

    /// <summary>Bytes from one panel to the next.</summary>
    internal long PanelBytes => (long)PanelWidth * InFeatures * Type.Size();

    internal byte* Data => _data;

    /// <summary>As long as all panels; zeros where there is no bias.</summary>
    internal float* Bias => _bias;

    internal bool HasBias { get; set; }

    /// <summary>Whether inputs are rounded to bfloat16 before they are multiplied: the layer computes in bf16.</summary>
    internal bool RoundsInputs { get; init; }

    private long DataBytes { get; }

    protected override void Dispose(bool disposing)
    {
        NativePages.Free(_data);
        NativePages.Free(_bias);
        _data = null;
        _bias = null;
    }
}
