using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>Gates of a refiner block.</summary>
internal readonly record struct HunyuanRefinerGates(Tensor Attention, Tensor Mlp);

/// <summary>Modulation of one stream of a double block.</summary>
internal readonly record struct HunyuanStreamModulation(Modulation Attention, Tensor AttentionGate, Modulation Mlp, Tensor MlpGate);

/// <summary>Modulation of a single block.</summary>
internal readonly record struct HunyuanSingleModulation(Modulation Norm, Tensor Gate);

/// <summary>All modulations of one step as slices of one row, in the order in which the layers that make them are listed.</summary>
internal sealed class HunyuanModulations
{
    private readonly Tensor _row;
    private readonly int _width;
    private int _at;

    public HunyuanModulations(HunyuanConfig config, in Tensor row)
    {
        (_row, _width) = (row, config.Width);
        Refiner = [.. Enumerable.Range(0, config.RefinerBlocks).Select(_ => new HunyuanRefinerGates(Next(), Next()))];
        Image = new HunyuanStreamModulation[config.DoubleBlocks];
        Text = new HunyuanStreamModulation[config.DoubleBlocks];
        for (int i = 0; i < config.DoubleBlocks; i++)
        {
            (Image[i], Text[i]) = (NextStream(), NextStream());
        }

        Single = [.. Enumerable.Range(0, config.SingleBlocks).Select(_ => new HunyuanSingleModulation(NextNorm(), Next()))];
        Final = NextNorm();
    }

    public HunyuanRefinerGates[] Refiner { get; }

    public HunyuanStreamModulation[] Image { get; }

    public HunyuanStreamModulation[] Text { get; }

    public HunyuanSingleModulation[] Single { get; }

    public Modulation Final { get; }

    /// <summary>The layers in the order of the slices: those of the refiner see another vector than the others.</summary>
    public static IEnumerable<LinearWeight> Refining(HunyuanWeights weights) => weights.Refiner.Select(b => b.Modulation);

    /// <summary>The layers that follow those of the refiner.</summary>
    public static IEnumerable<LinearWeight> Others(HunyuanWeights weights) =>
        [.. weights.Double.SelectMany(b => new[] { b.Image.Modulation, b.Text.Modulation }), .. weights.Single.Select(b => b.Modulation),
            weights.FinalModulation];

    private Tensor Next()
    {
        Tensor chunk = _row.SliceCols(_at, _width);
        _at += _width;
        return chunk;
    }

    private Modulation NextNorm()
    {
        Tensor shift = Next();
        return new Modulation(shift, Next());
    }

    private HunyuanStreamModulation NextStream()
    {
        Modulation attention = NextNorm();
        Tensor gate = Next();
        Modulation mlp = NextNorm();
        return new HunyuanStreamModulation(attention, gate, mlp, Next());
    }
}
