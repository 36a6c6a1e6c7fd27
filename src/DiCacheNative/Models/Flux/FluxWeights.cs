using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Flux;

/// <summary>One stream (image or text) of a double block.</summary>
internal sealed record FluxStreamWeights(LinearWeight Modulation, LinearWeight Qkv, LinearWeight Projection, LinearWeight Up, LinearWeight Down, QkNorm Norm);

/// <summary>A double-stream block.</summary>
internal sealed record FluxDoubleWeights(FluxStreamWeights Image, FluxStreamWeights Text);

/// <summary>A single-stream block. Its fused first layer is kept as two, so that the GELU can ride on the second.</summary>
internal sealed record FluxSingleWeights(LinearWeight Modulation, LinearWeight Qkv, LinearWeight Up, LinearWeight Out, QkNorm Norm);

/// <summary>All weights of a FLUX transformer on a backend.</summary>
internal sealed class FluxWeights : IDisposable
{
    private readonly WeightStore _store;

    /// <summary>Moves the weights of a source to a backend.</summary>
    /// <exception cref="BackendException">They do not fit into memory.</exception>
    public FluxWeights(IBackend backend, FluxSource source)
    {
        FluxConfig config = source.Config;
        _store = new WeightStore(backend, "FLUX");
        try
        {
            LinearWeight Linear(in LinearSource s) => _store.Linear(s);

            Tensor Scale(HostTensor t) => _store.Vector(t);

            FluxStreamWeights Stream(FluxStreamSource s) =>
                new(Linear(s.Modulation), Linear(s.Qkv), Linear(s.Projection), Linear(s.Up), Linear(s.Down), new QkNorm(Scale(s.QueryNorm), Scale(s.KeyNorm)));

            ImageIn = Linear(source.ImageIn);
            TextIn = Linear(source.TextIn);
            TimeIn = (Linear(source.TimeIn.In), Linear(source.TimeIn.Out));
            PooledIn = (Linear(source.PooledIn.In), Linear(source.PooledIn.Out));
            GuidanceIn = source.GuidanceIn is { } g ? (Linear(g.In), Linear(g.Out)) : null;
            Double = [.. Enumerable.Range(0, config.DoubleBlocks).Select(i =>
                new FluxDoubleWeights(Stream(source.Stream(i, "img")), Stream(source.Stream(i, "txt"))))];
            Single = [.. Enumerable.Range(0, config.SingleBlocks).Select(i =>
            {
                FluxSingleSource s = source.Single(i);
                return new FluxSingleWeights(Linear(s.Modulation), Linear(s.Qkv), Linear(s.Up), Linear(s.Out),
                    new QkNorm(Scale(s.QueryNorm), Scale(s.KeyNorm)));
            })];
            FinalModulation = Linear(source.FinalModulation);
            FinalProjection = Linear(source.FinalProjection);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public LinearWeight ImageIn { get; }

    public LinearWeight TextIn { get; }

    public (LinearWeight In, LinearWeight Out) TimeIn { get; }

    public (LinearWeight In, LinearWeight Out) PooledIn { get; }

    public (LinearWeight In, LinearWeight Out)? GuidanceIn { get; }

    public FluxDoubleWeights[] Double { get; }

    public FluxSingleWeights[] Single { get; }

    /// <summary>Rows: shift, then scale.</summary>
    public LinearWeight FinalModulation { get; }

    public LinearWeight FinalProjection { get; }

    /// <summary>Memory held by the backend, in bytes.</summary>
    public long Bytes => _store.Bytes;

    /// <summary>Number of parameters, biases and norm scales included.</summary>
    public long Parameters => _store.Parameters;

    public void Dispose() => _store.Dispose();
}
