using DiCacheNative.Imaging;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>Pictures in every format that is read.</summary>
internal sealed class PictureTarget() : Target("picture", 60)
{
    private static readonly byte[][] s_pictures = [.. Enum.GetValues<ImageFormat>().Select(Encode)];

    public override void Run(Random random, string folder)
    {
        byte[] picture = s_pictures[random.Next(s_pictures.Length)];
        Write(folder, "picture", random.Next(50) == 0 ? picture : Mutation.Damage(random, picture));
        ImageFile.Load(Path.Combine(folder, "picture"));
    }

    private static byte[] Encode(ImageFormat format)
    {
        byte[] pixels = new byte[9 * 7 * 3];
        new Random(1).NextBytes(pixels);
        using MemoryStream stream = new();
        new Image(9, 7, pixels).Encode(stream, format);
        return stream.ToArray();
    }
}
