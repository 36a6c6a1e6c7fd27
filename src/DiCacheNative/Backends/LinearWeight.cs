using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>
/// The weight of a linear layer, y = x W^T + b, in the form that its backend multiplies with (packed, converted, on the device). Made
/// once by <see cref="IBackend.CreateLinear"/>, read-only and shared between sessions after that.
/// </summary>
/// <remarks>Who creates a weight disposes it, when no operation uses it any more. From then on operations refuse it.</remarks>
public abstract class LinearWeight : IDisposable
{
    private volatile bool _disposed;

    /// <summary>Describes a weight.</summary>
    /// <param name="name">Name for messages, as in the checkpoint.</param>
    /// <param name="outFeatures">Rows of W.</param>
    /// <param name="inFeatures">Columns of W.</param>
    protected LinearWeight(string name, int outFeatures, int inFeatures)
    {
        (Name, OutFeatures, InFeatures) = (name, outFeatures, inFeatures);
    }

    /// <summary>Name for messages, as in the checkpoint.</summary>
    public string Name { get; }

    /// <summary>Width of y, N.</summary>
    public int OutFeatures { get; }

    /// <summary>Width of x, K.</summary>
    public int InFeatures { get; }

    /// <summary>True once it was disposed: no operation may use it.</summary>
    public bool IsDisposed => _disposed;

    /// <summary>Memory held by the backend for it, in bytes.</summary>
    public abstract long Bytes { get; }

    /// <summary>Frees the backend's memory. May be called twice, but not while an operation uses the weight.</summary>
    public void Dispose()
    {
        _disposed = true;
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees what the derived class owns.</summary>
    /// <param name="disposing">False when called by a finalizer.</param>
    protected abstract void Dispose(bool disposing);
}

/// <summary>
/// Where the numbers of a <see cref="LinearWeight"/> come from: matrices [n_i, K] of a checkpoint stacked by rows, so that layouts with
/// separate q, k and v and layouts with one fused qkv lead to the same weight.
/// </summary>
/// <param name="Name">Name for messages.</param>
/// <param name="Weights">Matrices [n_i, K], stacked in this order.</param>
/// <param name="Biases">Vectors [n_i] in the same order; empty for a layer without bias.</param>
public readonly record struct LinearSource(string Name, IReadOnlyList<HostTensor> Weights, IReadOnlyList<HostTensor> Biases);
