using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>Tensors of one shape, used one after the other, so that none is found in a cache when its turn comes again.</summary>
internal sealed class Ring : IDisposable
{
    private readonly Arena _arena;
    private readonly Tensor[] _tensors;
    private int _at;

    /// <summary>Allocates the tensors, all with the same values.</summary>
    /// <param name="backend">Where they lie.</param>
    /// <param name="type">Their type.</param>
    /// <param name="batch">Samples.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="cols">Columns.</param>
    /// <param name="bytes">Bytes of all of them together, at least.</param>
    /// <param name="atLeast">Tensors that one call takes at most.</param>
    public Ring(IBackend backend, DType type, int batch, int rows, int cols, long bytes, int atLeast)
    {
        long each = (long)batch * rows * cols * type.Size();
        int count = (int)Math.Clamp((bytes + each - 1) / each, atLeast, MostTensors);
        _arena = backend.CreateArena(count * (each + Arena.Alignment), $"{count} tensors [{batch}, {rows}, {cols}] {type}");
        _tensors = [.. Enumerable.Range(0, count).Select(_ => _arena.Allocate(type, batch, rows, cols))];
        backend.Upload(PresetModel.Noise(_tensors[0].Count), _tensors[0]);
        foreach (Tensor tensor in _tensors.Skip(1))
        {
            backend.Activate(_tensors[0], tensor);
        }
    }

    private const int MostTensors = 1024;

    /// <summary>The tensor whose turn it is.</summary>
    public Tensor Next()
    {
        _at = (_at + 1) % _tensors.Length;
        return _tensors[_at];
    }

    /// <summary>Frees the tensors.</summary>
    public void Dispose() => _arena.Dispose();
}
