using DiCacheNative.Imaging;
using DiCacheNative.Models;
using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;
using Microsoft.ML.OnnxRuntime;

namespace DiCacheNative.Onnx;

/// <summary>
/// A causal video autoencoder's decoder as an ONNX graph: one input [B, C, f, h, w], one output [B, 3, 4 (f - 1) + 1, 8 h, 8 w]. Latents
/// larger than a tile are decoded tile by tile, with blended seams.
/// </summary>
public sealed class OnnxVideoDecoder : IVideoDecoder
{
    private const int SpaceScale = 8;
    private const int TimeScale = 4;

    private readonly OnnxSession _session;
    private readonly VideoTiling _tiling;
    private readonly string _input;
    private readonly string _output;

    private OnnxVideoDecoder(OnnxSession session, VideoTiling tiling)
    {
        (_session, _tiling) = (session, tiling);
        string[] inputs = [.. session.Inputs.Keys];
        if (inputs.Length != 1 || session.OutputNames.Count != 1
            || !OnnxSession.HasRank(session.Inputs[inputs[0]], 5) || !OnnxSession.HasRank(session.Outputs[session.OutputNames[0]], 5))
        {
            throw new ModelFormatException(
                session.Path, "this is no video decoder: it should have one input [B, C, f, h, w] and one output [B, 3, F, H, W]");
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
    /// <param name="tiling">Tiles; <see cref="VideoTiling.Default"/> when left out.</param>
    /// <exception cref="ModelFormatException">The file is missing, broken, or no video decoder.</exception>
    /// <exception cref="ArgumentException">Tiles and overlap do not go together.</exception>
    /// <exception cref="Backends.BackendException">ONNX Runtime is not there.</exception>
    public static OnnxVideoDecoder Load(string path, int threads, VideoTiling? tiling = null)
    {
        tiling ??= VideoTiling.Default;
        tiling.Validate();
        OnnxSession session = OnnxSession.Load(path, threads, nameof(OnnxVideoDecoder));
        try
        {
            return new OnnxVideoDecoder(session, tiling);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ImagePlanes Decode(float[] latent, LatentSize size, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(latent);
        bool empty = size.Frames < 1 || size.Height < 1 || size.Width < 1 || (long)size.Frames * size.Height > latent.Length / size.Width;
        int channels = empty ? 0 : latent.Length / size.Positions;
        if (empty || channels == 0 || channels * size.Positions != latent.Length || channels != (LatentChannels ?? channels))
        {
            string wanted = LatentChannels?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "C";
            throw new ShapeException(
                $"a latent of {latent.Length:N0} values is not [{wanted}, {size.Frames}, {size.Height}, {size.Width}], which {_session.Path} takes");
        }

        LatentSize video = new((TimeScale * (size.Frames - 1)) + 1, SpaceScale * size.Height, SpaceScale * size.Width);
        long values = 3L * video.Frames * video.Height * video.Width;
        if (values > Array.MaxLength)
        {
            throw new ShapeException($"a video of {video} has {values:N0} values, more than an array can hold");
        }

        (LatentSize tile, LatentSize overlap) = (_tiling.Tile, _tiling.Overlap);
        (int Start, int Count)[] frames = DecoderTiles.Split(size.Frames, tile.Frames, overlap.Frames);
        (int Start, int Count)[] rows = DecoderTiles.Split(size.Height, tile.Height, overlap.Height);
        (int Start, int Count)[] columns = DecoderTiles.Split(size.Width, tile.Width, overlap.Width);
        float[] result = new float[values];

        // Neighbours share 4 (o - 1) + 1 frames: the first latent frame of a tile gives one frame, like that of the whole video.
        TileRamp[] time = TileRamp.Along(frames, TimeScale, (TimeScale * (overlap.Frames - 1)) + 1, last: 1);
        TileRamp[] down = TileRamp.Along(rows, SpaceScale, SpaceScale * overlap.Height, last: SpaceScale);
        TileRamp[] across = TileRamp.Along(columns, SpaceScale, SpaceScale * overlap.Width, last: SpaceScale);
        for (int f = 0; f < frames.Length; f++)
        {
            for (int y = 0; y < rows.Length; y++)
            {
                for (int x = 0; x < columns.Length; x++)
                {
                    LatentSize part = new(frames[f].Count, rows[y].Count, columns[x].Count);
                    float[] cut = part == size ? latent : Cut(latent, channels, size, (frames[f].Start, rows[y].Start, columns[x].Start), part);
                    Add(result, video, Run(cut, channels, part, cancellationToken), time[f], down[y], across[x]);
                }
            }
        }

        return new ImagePlanes(video.Frames, video.Height, video.Width, result);
    }

    /// <summary>Frees the graph; runs under way are ended and waited for, later ones are refused. May be called twice.</summary>
    public void Dispose() => _session.Dispose();

    /// <summary>One run of the graph: [3, F, H, W].</summary>
    private float[] Run(float[] latent, int channels, LatentSize size, CancellationToken cancellationToken)
    {
        using OrtValue input = _session.Floats(_input, latent, [1, channels, size.Frames, size.Height, size.Width]);
        (long[] shape, float[] values) = _session.Run(new Dictionary<string, OrtValue> { [_input] = input }, [_output], cancellationToken)[0];
        long[] wanted = [1, 3, (TimeScale * (size.Frames - 1)) + 1, SpaceScale * size.Height, SpaceScale * size.Width];
        return shape.AsSpan().SequenceEqual(wanted) ? values : throw new ModelFormatException(
            _session.Path, $"its output is [{string.Join(", ", shape)}] where [{string.Join(", ", wanted)}] was expected");
    }

    private static float[] Cut(float[] latent, int channels, LatentSize size, (int Frame, int Row, int Column) start, LatentSize part)
    {
        float[] result = new float[channels * part.Positions];
        int at = 0;
        for (int c = 0; c < channels; c++)
        {
            for (int f = 0; f < part.Frames; f++)
            {
                for (int y = 0; y < part.Height; y++, at += part.Width)
                {
                    int from = ((((c * size.Frames) + start.Frame + f) * size.Height) + start.Row + y) * size.Width;
                    latent.AsSpan(from + start.Column, part.Width).CopyTo(result.AsSpan(at));
                }
            }
        }

        return result;
    }

    /// <summary>Adds a tile [3, F, H, W] to the video [F, 3, H, W], weighted.</summary>
    private static void Add(float[] video, LatentSize size, float[] tile, in TileRamp time, in TileRamp down, in TileRamp across)
    {
        int width = across.Weights.Length, at = 0;
        for (int c = 0; c < 3; c++)
        {
            for (int f = 0; f < time.Weights.Length; f++)
            {
                for (int y = 0; y < down.Weights.Length; y++, at += width)
                {
                    float weight = time.Weights[f] * down.Weights[y];
                    int row = (((((time.Start + f) * 3) + c) * size.Height) + down.Start + y) * size.Width;
                    Span<float> target = video.AsSpan(row + across.Start, width);
                    ReadOnlySpan<float> source = tile.AsSpan(at, width);
                    for (int x = 0; x < width; x++)
                    {
                        target[x] += weight * across.Weights[x] * source[x];
                    }
                }
            }
        }
    }
}
