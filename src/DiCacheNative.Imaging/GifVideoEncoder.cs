using SixLabors.ImageSharp.Formats.Gif;
using SixLabors.ImageSharp.Memory;
using SixLabors.ImageSharp.PixelFormats;
using SixLabors.ImageSharp.Processing.Processors.Quantization;
using Sharp = SixLabors.ImageSharp;

namespace DiCacheNative.Imaging;

/// <summary>
/// Writes frames as an animated GIF that repeats for ever: one palette of at most 256 colours for all frames, without dithering, whose
/// noise would flicker.
/// </summary>
/// <remarks>
/// GIF counts time in hundredths of a second. Delays are spread so that every frame begins within half a hundredth of its time: the whole
/// lasts as long as the frame rate says, whatever the rate. Viewers show delays below 2 hundredths as 10, so no rate above
/// <see cref="MaxFps"/> can be kept.
/// </remarks>
public sealed class GifVideoEncoder : IVideoEncoder
{
    /// <summary>The highest frame rate that a GIF can show.</summary>
    public const double MaxFps = 50;

    private const int Largest = 65535;
    private const int SampledPixels = 1 << 23;

    /// <inheritdoc/>
    public Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null,
        CancellationToken cancellationToken = default)
    {
        VideoFrames.Check(frames, fps, path);
        int[] delays = Delays(frames.Count, fps);
        if (frames[0].Width > Largest || frames[0].Height > Largest)
        {
            throw new ArgumentException(
                $"a GIF holds frames of up to {Largest} x {Largest} pixels, not {frames[0].Width} x {frames[0].Height}");
        }

        return Task.Run<IReadOnlyList<string>>(
            () =>
            {
                AtomicFile.Write(path, stream =>
                {
                    Write(frames, delays, stream, cancellationToken);
                    cancellationToken.ThrowIfCancellationRequested();
                });
                return [path];
            },
            cancellationToken);
    }

    /// <summary>How long each frame is shown.</summary>
    /// <param name="count">Number of frames.</param>
    /// <param name="fps">Frames per second, above 0 and at most <see cref="MaxFps"/>.</param>
    /// <returns>Hundredths of a second.</returns>
    /// <exception cref="ArgumentException">The rate is higher than a GIF can show.</exception>
    public static int[] Delays(int count, double fps)
    {
        if (fps > MaxFps)
        {
            throw new ArgumentException(
                $"a GIF shows at most {MaxFps} frames a second, not {fps}: lower the frame rate, or write another format");
        }

        long Start(int frame) => (long)Math.Round(100.0 * frame / fps, MidpointRounding.AwayFromZero);
        return [.. Enumerable.Range(0, count).Select(i => (int)Math.Min(Start(i + 1) - Start(i), ushort.MaxValue))];
    }

    private static void Write(IReadOnlyList<Image> frames, int[] delays, Stream destination, CancellationToken cancel)
    {
        Rgb24[] palette = Palette(frames);
        PaletteMap map = new(palette);

        // ImageSharp finds colours of a palette by their upper five bits, which is off by a shade or two, and in frames after the first
        // it offers no other way. So it is given stand-ins that differ in those bits, and the table of the file gets the true colours.
        Rgb24[] codes = [.. Enumerable.Range(0, palette.Length).Select(i => new Rgb24((byte)(i % 32 * 8), (byte)(i / 32 * 8), 0))];
        using Sharp.Image<Rgb24> animation = new(PictureCodec.Configuration, frames[0].Width, frames[0].Height);
        Rgb24[] coded = new Rgb24[frames[0].Width * frames[0].Height];
        for (int i = 0; i < frames.Count; i++)
        {
            cancel.ThrowIfCancellationRequested();
            byte[] pixels = frames[i].Pixels;
            for (int p = 0; p < coded.Length; p++)
            {
                coded[p] = codes[map.Nearest(pixels[3 * p], pixels[(3 * p) + 1], pixels[(3 * p) + 2])];
            }

            animation.Frames.AddFrame(coded).Metadata.GetFormatMetadata(GifFormat.Instance).FrameDelay = delays[i];
        }

        animation.Frames.RemoveFrame(0);
        animation.Metadata.GetFormatMetadata(GifFormat.Instance).RepeatCount = 0;
        QuantizerOptions exact = new() { Dither = null, MaxColors = Math.Max(2, palette.Length) };
        animation.Save(
            destination,
            new GifEncoder
            {
                ColorTableMode = GifColorTableMode.Global,
                Quantizer = new PaletteQuantizer(codes.Select(c => new Sharp.Color(c)).ToArray(), exact),
            });

        const int tableOffset = 13; // after signature and screen descriptor
        long end = destination.Position;
        destination.Position = tableOffset;
        foreach (Rgb24 color in palette)
        {
            destination.Write([color.R, color.G, color.B]);
        }

        destination.Position = end;
    }

    /// <summary>The colours of all frames together, at most 256, by Wu's method; of long videos every n-th row is looked at.</summary>
    private static Rgb24[] Palette(IReadOnlyList<Image> frames)
    {
        (int width, int height) = (frames[0].Width, frames[0].Height);
        int every = (int)Math.Min(height, 1 + ((long)width * height * frames.Count / SampledPixels)), rows = (height + every - 1) / every;
        using Sharp.Image<Rgb24> samples = new(PictureCodec.Configuration, width, rows * frames.Count);
        for (int y = 0; y < samples.Height; y++)
        {
            // Frame by frame another row of each group, so that no line of a still picture is missed.
            int frame = y / rows, row = Math.Min(height - 1, (y % rows * every) + (frame % every));
            System.Runtime.InteropServices.MemoryMarshal.Cast<byte, Rgb24>(frames[frame].Pixels.AsSpan(3 * row * width, 3 * width))
                .CopyTo(samples.Frames.RootFrame.PixelBuffer.DangerousGetRowSpan(y));
        }

        using IQuantizer<Rgb24> wu =
            new WuQuantizer(new QuantizerOptions { Dither = null }).CreatePixelSpecificQuantizer<Rgb24>(PictureCodec.Configuration);
        foreach (Buffer2DRegion<Rgb24> all in new ExtensivePixelSamplingStrategy().EnumeratePixelRegions(samples))
        {
            wu.AddPaletteColors(all);
        }

        return wu.Palette.ToArray();
    }

    /// <summary>The nearest colour of a palette, by distance in RGB; the first of several.</summary>
    private sealed class PaletteMap(Rgb24[] palette)
    {
        private const short Unknown = -1;
        private readonly short[] _known = Fresh();

        public int Nearest(byte r, byte g, byte b)
        {
            ref short known = ref _known[(r << 16) | (g << 8) | b];
            return known == Unknown ? known = Search(r, g, b) : known;
        }

        private static short[] Fresh()
        {
            short[] known = new short[1 << 24];
            Array.Fill(known, Unknown);
            return known;
        }

        private short Search(byte r, byte g, byte b)
        {
            (int best, int least) = (0, int.MaxValue);
            for (int i = 0; i < palette.Length; i++)
            {
                (int dr, int dg, int db) = (palette[i].R - r, palette[i].G - g, palette[i].B - b);
                int distance = (dr * dr) + (dg * dg) + (db * db);
                if (distance < least)
                {
                    (best, least) = (i, distance);
                }
            }

            return (short)best;
        }
    }
}
