using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>The weights of a model on a backend: linear layers, and the F32 vectors (norm scales, modulation tables) beside them.</summary>
internal sealed class WeightStore(IBackend backend, string model) : IDisposable
{
    // Vectors are small and many: they share arenas of at least this size, so that nothing has to be measured first.
    private const long ArenaBytes = 1 << 18;

    private readonly List<LinearWeight> _layers = [];
    private readonly List<Arena> _arenas = [];
    private long _vectorElements;

    /// <summary>Memory held by the backend, in bytes.</summary>
    public long Bytes => _layers.Sum(w => w.Bytes) + _arenas.Sum(a => a.Capacity);

    /// <summary>Number of parameters, biases and vectors included.</summary>
    public long Parameters => _layers.Sum(w => ((long)w.OutFeatures * w.InFeatures) + w.OutFeatures) + _vectorElements;

    /// <summary>Moves a linear layer to the backend.</summary>
    /// <exception cref="BackendException">It does not fit into memory.</exception>
    public LinearWeight Linear(in LinearSource source)
    {
        LinearWeight weight = backend.CreateLinear(source);
        _layers.Add(weight);
        return weight;
    }

    /// <summary>Moves a vector to the backend: F32 [1, 1, elements]. Its numbers are there on return, whichever thread reads them.</summary>
    public Tensor Vector(in HostTensor source) => Rows([source]);

    /// <summary>Moves tensors of the same size to the backend, one row each: F32 [1, count, elements]. Their numbers are there on return.</summary>
    public Tensor Rows(IReadOnlyList<HostTensor> sources)
    {
        int width = checked((int)sources[0].Count);
        long bytes = ((long)sources.Count * width * sizeof(float)) + Arena.Alignment;
        if (_arenas.Count == 0 || _arenas[^1].Capacity - _arenas[^1].Used < bytes)
        {
            _arenas.Add(backend.CreateArena(Math.Max(bytes, ArenaBytes), $"{model} norm scales and modulations"));
        }

        Tensor rows = _arenas[^1].Allocate(DType.F32, 1, sources.Count, width);
        for (int i = 0; i < sources.Count; i++)
        {
            backend.Upload(sources[i].ToArray(), rows.SliceRows(i, 1));
        }

        // Uploads may still be under way, in an order that only this thread's operations keep; weights are read by any thread.
        backend.Synchronize();
        _vectorElements += rows.Count;
        return rows;
    }

    public void Dispose()
    {
        _layers.ForEach(w => w.Dispose());
        _arenas.ForEach(a => a.Dispose());
    }
}
