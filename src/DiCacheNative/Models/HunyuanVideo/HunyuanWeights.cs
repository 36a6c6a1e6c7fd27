using DiCacheNative.Backends;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>One stream (image or text) of a double block.</summary>
internal sealed record HunyuanStreamWeights(LinearWeight Modulation, LinearWeight Qkv, LinearWeight Projection, LinearWeight Up, LinearWeight Down,
    QkNorm Norm);

/// <summary>A double-stream block.</summary>
internal sealed record HunyuanDoubleWeights(HunyuanStreamWeights Image, HunyuanStreamWeights Text);

/// <summary>A single-stream block. Its fused first layer is kept as two, so that the GELU can ride on the second.</summary>
internal sealed record HunyuanSingleWeights(LinearWeight Modulation, LinearWeight Qkv, LinearWeight Up, LinearWeight Out, QkNorm Norm);

/// <summary>A block of the token refiner.</summary>
internal sealed record HunyuanRefinerWeights(
    LinearWeight Modulation, LinearWeight Qkv, LinearWeight Projection, LinearWeight Up, LinearWeight Down, Modulation FirstNorm, Modulation SecondNorm);

/// <summary>All weights of a HunyuanVideo transformer on a backend.</summary>
internal sealed class HunyuanWeights : IDisposable
{
    private readonly WeightStore _store;

    /// <summary>Moves the weights of a source to a backend.</summary>
    /// <exception cref="BackendException">They do not fit into memory.</exception>
    public HunyuanWeights(IBackend backend, HunyuanSource source)
    {
        HunyuanConfig config = source.Config;
        WeightStore store = _store = new WeightStore(backend, "HunyuanVideo");
        try
        {
            (LinearWeight In, LinearWeight Out) Pair((LinearSource In, LinearSource Out) s) => (store.Linear(s.In), store.Linear(s.Out));

            HunyuanStreamWeights Stream(HunyuanStreamSource s) => new(
                store.Linear(s.Modulation), store.Linear(s.Qkv), store.Linear(s.Projection), store.Linear(s.Up), store.Linear(s.Down),
                new QkNorm(store.Vector(s.QueryNorm), store.Vector(s.KeyNorm)));

            HunyuanSingleWeights OneStream(HunyuanSingleSource s) => new(
                store.Linear(s.Modulation), store.Linear(s.Qkv), store.Linear(s.Up), store.Linear(s.Out),
                new QkNorm(store.Vector(s.QueryNorm), store.Vector(s.KeyNorm)));

            HunyuanRefinerWeights Refine(HunyuanRefinerSource s) => new(
                store.Linear(s.Modulation), store.Linear(s.Qkv), store.Linear(s.Projection), store.Linear(s.Up), store.Linear(s.Down),
                new Modulation(store.Vector(s.FirstNormShift), store.Vector(s.FirstNormScale), ScaleOffset: 0),
                new Modulation(store.Vector(s.SecondNormShift), store.Vector(s.SecondNormScale), ScaleOffset: 0));

            ImageIn = store.Linear(source.ImageIn);
            TimeIn = Pair(source.TimeIn);
            PooledIn = Pair(source.PooledIn);
            GuidanceIn = source.GuidanceIn is { } guidance ? Pair(guidance) : null;
            TextIn = store.Linear(source.TextIn);
            RefinerTimeIn = Pair(source.RefinerTimeIn);
            RefinerTextIn = Pair(source.RefinerTextIn);
            Refiner = [.. Enumerable.Range(0, config.RefinerBlocks).Select(i => Refine(source.Refiner(i)))];
            Double = [.. Enumerable.Range(0, config.DoubleBlocks).Select(i =>
                new HunyuanDoubleWeights(Stream(source.Stream(i, "img")), Stream(source.Stream(i, "txt"))))];
            Single = [.. Enumerable.Range(0, config.SingleBlocks).Select(i => OneStream(source.Single(i)))];
            FinalModulation = store.Linear(source.FinalModulation);
            FinalProjection = store.Linear(source.FinalProjection);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public LinearWeight ImageIn { get; }

    public (LinearWeight In, LinearWeight Out) TimeIn { get; }

    public (LinearWeight In, LinearWeight Out) PooledIn { get; }

    public (LinearWeight In, LinearWeight Out)? GuidanceIn { get; }

    public LinearWeight TextIn { get; }

    public (LinearWeight In, LinearWeight Out) RefinerTimeIn { get; }

    public (LinearWeight In, LinearWeight Out) RefinerTextIn { get; }

    public HunyuanRefinerWeights[] Refiner { get; }

    public HunyuanDoubleWeights[] Double { get; }

    public HunyuanSingleWeights[] Single { get; }

    /// <summary>Rows: shift, then scale.</summary>
    public LinearWeight FinalModulation { get; }

    public LinearWeight FinalProjection { get; }

    /// <summary>Memory held by the backend, in bytes.</summary>
    public long Bytes => _store.Bytes;

    /// <summary>Number of parameters, biases and norm scales included.</summary>
    public long Parameters => _store.Parameters;

    public void Dispose() => _store.Dispose();
}
