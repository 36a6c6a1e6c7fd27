namespace DiCacheNative.Tests.Imaging;

/// <summary>Shell scripts in the place of ffmpeg.</summary>
internal static class FakeFfmpeg
{
    /// <summary>What an ffmpeg with all usual encoders answers.</summary>
    public const string Usual = "libx264 libvpx-vp9 libwebp_anim";

    /// <summary>Writes a program that lists encoders and, asked to encode, runs a script in which $file is the file to write.</summary>
    public static void Write(string path, string body, string encoders = Usual) => ShellScript.Write(
        path,
        $"""
        case "$*" in *-encoders*) echo " ------"; for e in {encoders}; do echo " V....D $e an encoder"; done; exit 0;; esac
        for file do :; done
        {body}
        """);
}
