using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>Takes layers and vectors from a checkpoint, as the layouts of the models need them.</summary>
internal abstract class LayerSource(TensorReader take)
{
    /// <summary>A vector [width].</summary>
    protected HostTensor Vector(string name, int width) => take(name, [width]);

    /// <summary>A learned modulation table [1, rows, width].</summary>
    protected HostTensor Table(string name, int rows, int width) => take(name, [1, rows, width]);

    /// <summary>A layer made of one or more whole layers of the checkpoint, stacked.</summary>
    protected LinearSource Linear(int inFeatures, params ReadOnlySpan<(string Name, int Rows)> parts)
    {
        HostTensor[] weights = new HostTensor[parts.Length], biases = new HostTensor[parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            weights[i] = take(parts[i].Name + ".weight", [parts[i].Rows, inFeatures]);
            biases[i] = take(parts[i].Name + ".bias", [parts[i].Rows]);
        }

        return new LinearSource(parts[0].Name, weights, biases);
    }

    /// <summary>A layer made of runs of rows of one fused layer, in the order given.</summary>
    protected LinearSource Rows(string name, int totalRows, int inFeatures, params ReadOnlySpan<(int Start, int Count)> runs)
    {
        HostTensor weight = take(name + ".weight", [totalRows, inFeatures]), bias = take(name + ".bias", [totalRows]);
        HostTensor[] weights = new HostTensor[runs.Length], biases = new HostTensor[runs.Length];
        for (int i = 0; i < runs.Length; i++)
        {
            weights[i] = weight.Rows(runs[i].Start, runs[i].Count);
            biases[i] = bias.Rows(runs[i].Start, runs[i].Count);
        }

        return new LinearSource(name, weights, biases);
    }

    /// <summary>A convolution [D, C, pt, ph, pw] whose stride is its kernel, as the matrix that multiplies patches in channel-first order.</summary>
    protected LinearSource Patch(string name, int outFeatures, int channels, LatentSize patch)
    {
        HostTensor weight = take(name + ".weight", [outFeatures, channels, patch.Frames, patch.Height, patch.Width]);
        int[] matrix = [outFeatures, channels * patch.Positions];
        return new LinearSource(name, [weight.Reshape(matrix)], [take(name + ".bias", [outFeatures])]);
    }
}
