using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Wan;

/// <summary>Cross attention of a block to the features of an image.</summary>
internal sealed record WanImageAttentionWeights(LinearWeight KeyValue, QkNorm KeyNorm);

/// <summary>A block.</summary>
internal sealed record WanBlockWeights(
    LinearWeight Qkv, LinearWeight Out, QkNorm Norm, Modulation CrossNorm, LinearWeight CrossQuery, LinearWeight CrossKeyValue, LinearWeight CrossOut,
    QkNorm CrossQueryNorm,
    QkNorm CrossKeyNorm, LinearWeight Up, LinearWeight Down, WanImageAttentionWeights? Image);

/// <summary>Embedding of CLIP features: norm, two layers, norm.</summary>
internal sealed record WanImageWeights(Modulation FirstNorm, LinearWeight Up, LinearWeight Down, Modulation LastNorm);

/// <summary>All weights of a WAN transformer on a backend.</summary>
internal sealed class WanWeights : IDisposable
{
    private readonly WeightStore _store;

    /// <summary>Moves the weights of a source to a backend.</summary>
    /// <exception cref="BackendException">They do not fit into memory.</exception>
    public WanWeights(IBackend backend, WanSource source)
    {
        WanConfig config = source.Config;
        _store = new WeightStore(backend, "WAN");
        try
        {
            (LinearWeight In, LinearWeight Out) Pair((LinearSource In, LinearSource Out) s) => (_store.Linear(s.In), _store.Linear(s.Out));

            // q and k are normed separately where they have different numbers of rows: the first of a pair is the one that is used.
            QkNorm Norm(HostTensor query, HostTensor? key = null) =>
                new(_store.Vector(query), key is { } k ? _store.Vector(k) : default, config.Epsilon);

            Modulation Affine(HostTensor scale, HostTensor shift) => new(_store.Vector(shift), _store.Vector(scale), ScaleOffset: 0);

            PatchIn = _store.Linear(source.PatchIn);
            TextIn = Pair(source.TextIn);
            TimeIn = Pair(source.TimeIn);
            TimeProjection = _store.Linear(source.TimeProjection);
            ImageIn = source.ImageIn is not { } i ? null : new WanImageWeights(
                Affine(i.FirstNormScale, i.FirstNormShift), _store.Linear(i.Up), _store.Linear(i.Down), Affine(i.LastNormScale, i.LastNormShift));

            List<HostTensor> tables = [];
            Blocks = new WanBlockWeights[config.Layers];
            for (int block = 0; block < config.Layers; block++)
            {
                WanBlockSource s = source.Block(block);
                tables.Add(s.Modulation);
                Blocks[block] = new WanBlockWeights(
                    _store.Linear(s.Qkv), _store.Linear(s.Out), Norm(s.QueryNorm, s.KeyNorm), Affine(s.CrossNormScale, s.CrossNormShift),
                    _store.Linear(s.CrossQuery),
                    _store.Linear(s.CrossKeyValue), _store.Linear(s.CrossOut), Norm(s.CrossQueryNorm), Norm(s.CrossKeyNorm), _store.Linear(s.Up),
                    _store.Linear(s.Down),
                    s.ImageKeyValue is { } keyValue ? new WanImageAttentionWeights(_store.Linear(keyValue), Norm(s.ImageKeyNorm!.Value)) : null);
            }

            Modulations = _store.Rows(tables);
            HeadModulation = _store.Vector(source.HeadModulation);
            HeadProjection = _store.Linear(source.HeadProjection);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public LinearWeight PatchIn { get; }

    public (LinearWeight In, LinearWeight Out) TextIn { get; }

    public (LinearWeight In, LinearWeight Out) TimeIn { get; }

    public LinearWeight TimeProjection { get; }

    public WanImageWeights? ImageIn { get; }

    public WanBlockWeights[] Blocks { get; }

    /// <summary>Learned part of the modulations: F32 [1, M, 6 D].</summary>
    public Tensor Modulations { get; }

    /// <summary>Learned part of the head's shift and scale: F32 [1, 1, 2 D].</summary>
    public Tensor HeadModulation { get; }

    public LinearWeight HeadProjection { get; }

    /// <summary>Memory held by the backend, in bytes.</summary>
    public long Bytes => _store.Bytes;

    /// <summary>Number of parameters, biases, norm scales and modulation tables included.</summary>
    public long Parameters => _store.Parameters;

    public void Dispose() => _store.Dispose();
}
