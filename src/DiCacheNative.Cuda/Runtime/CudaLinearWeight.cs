using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>
/// A weight in device memory, row-major [N, K], and its bias twice: in F32 for the kernels and for F32 results, and in the type of the weight,
/// which is what cuBLASLt adds to a result of that type.
/// </summary>
internal sealed class CudaLinearWeight(string name, int outFeatures, int inFeatures, DeviceMemory memory, CudaLinearWeight.Layout layout, CudaBackend owner)
    : LinearWeight(name, outFeatures, inFeatures)
{
    /// <summary>The backend that made it: addresses mean nothing to another one.</summary>
    public CudaBackend Owner { get; } = owner;

    public override long Bytes => layout.Bytes;

    /// <summary>Address of the matrix.</summary>
    public nint Matrix => Alive.Value;

    /// <summary>Address of the bias in F32; 0 without one.</summary>
    public nint Bias => layout.Bias == 0 ? 0 : Alive.Value + (nint)layout.Bias;

    /// <summary>Address of the bias in the weight's type; 0 without one.</summary>
    public nint StoredBias => layout.StoredBias == 0 ? 0 : Alive.Value + (nint)layout.StoredBias;

    private DeviceMemory Alive
    {
        get
        {
            ObjectDisposedException.ThrowIf(memory.IsClosed, this);
            return memory;
        }
    }

    protected override void Dispose(bool disposing) => memory.Dispose();

    /// <summary>Where the parts lie in the one allocation, in bytes from its start; 0 for a bias that is not there.</summary>
    /// <param name="Bias">The F32 bias.</param>
    /// <param name="StoredBias">The bias in the weight's type.</param>
    /// <param name="Bytes">Size of all.</param>
    internal readonly record struct Layout(long Bias, long StoredBias, long Bytes);
}
