using DiCacheNative.Imaging;
using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;
using Microsoft.ML.OnnxRuntime;

namespace DiCacheNative.Onnx;

/// <summary>An image autoencoder's decoder as an ONNX graph: one input [B, C, h, w], one output [B, 3, H, W].</summary>
public sealed class OnnxVaeDecoder : IVaeDecoder
{
    private readonly OnnxSession _session;
    private readonly string _input;
    private readonly string _output;

    private OnnxVaeDecoder(OnnxSession session)
    {
        _session = session;
        string[] inputs = [.. session.Inputs.Keys];
        if (inputs.Length != 1 || session.OutputNames.Count != 1
            || !OnnxSession.HasRank(session.Inputs[inputs[0]], 4) || !OnnxSession.HasRank(session.Outputs[session.OutputNames[0]], 4))
        {
            throw new ModelFormatException(
                session.Path, "this is no image decoder: it should have one input [B, C, h, w] and one output [B, 3, H, W]");
        }

        (_input, _output) = (inputs[0], session.OutputNames[0]);
        int channels = session.Inputs[_input].Dimensions[1];
        LatentChannels = channels > 0 ? channels : null;
    }

    /// <summary>Channels of the latent, C; null when the graph does not say.</summary>
    public int? LatentChannels { get; }

    /// <summary>Loads a graph.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="threads">Threads it may use, at least 1.</param>
    /// <exception cref="ModelFormatException">The file is missing, broken, or no image decoder.</exception>
    /// <exception cref="Backends.BackendException">ONNX Runtime is not there.</exception>
    public static OnnxVaeDecoder Load(string path, int threads)
    {
        OnnxSession session = OnnxSession.Load(path, threads, nameof(OnnxVaeDecoder));
        try
        {
            return new OnnxVaeDecoder(session);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public bool Takes(int batch, int height, int width) =>
        _session.Inputs[_input].Dimensions is [var b, _, var h, var w] && (b <= 0 || b == batch) && (h <= 0 || h == height) && (w <= 0 || w == width);

    /// <inheritdoc/>
    public ImagePlanes Decode(float[] latent, int batch, int height, int width, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(latent);
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        long area = (long)batch * height * width;
        long channels = latent.Length / area;
        if (channels == 0 || channels * area != latent.Length || channels != (LatentChannels ?? channels))
        {
            string wanted = LatentChannels?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "C";
            throw new ShapeException($"a latent of {latent.Length:N0} values is not [{batch}, {wanted}, {height}, {width}], which {_session.Path} takes");
        }

        using OrtValue input = _session.Floats(_input, latent, [batch, channels, height, width]);
        (long[] shape, float[] values) = _session.Run(new Dictionary<string, OrtValue> { [_input] = input }, [_output], cancellationToken)[0];
        if (shape is not [_, 3, > 0, > 0] || shape[0] != batch)
        {
            throw new ModelFormatException(_session.Path, $"its output is [{string.Join(", ", shape)}] where [{batch}, 3, H, W] was expected");
        }

        return new ImagePlanes(batch, (int)shape[2], (int)shape[3], values);
    }

    /// <summary>Frees the graph; runs under way are ended and waited for, later ones are refused. May be called twice.</summary>
    public void Dispose() => _session.Dispose();
}
