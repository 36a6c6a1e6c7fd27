using System.Diagnostics;
using System.Globalization;

namespace DiCacheNative.Imaging;

/// <summary>
/// Writes videos with the ffmpeg program: .mp4 (H.264), .webm (VP9) and .webp. Frames go to it as raw RGB; it writes under another
/// name in the same directory, and the file gets its name when it is complete.
/// </summary>
public sealed class FfmpegVideoEncoder : IVideoEncoder
{
    // Players guess the matrix of an untagged video from its size: the one used is named.
    private static readonly string[] s_color =
        ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"];

    private static readonly Dictionary<string, string[]> s_formats = new(StringComparer.OrdinalIgnoreCase)
    {
        [".mp4"] = ["-c:v", "libx264", "-crf", "18", .. s_color, "-movflags", "+faststart"],
        [".webm"] = ["-c:v", "libvpx-vp9", "-crf", "18", "-b:v", "0", .. s_color],
        [".webp"] = ["-c:v", "libwebp_anim", "-quality", "90", "-loop", "0"],
    };

    private readonly string _program;

    /// <summary>Uses a program.</summary>
    /// <param name="program">Path of ffmpeg, as <see cref="Find"/> gives it.</param>
    public FfmpegVideoEncoder(string program)
    {
        ArgumentException.ThrowIfNullOrEmpty(program);
        _program = program;
    }

    /// <summary>Extensions it writes, with the dot.</summary>
    public static IReadOnlyCollection<string> Extensions => s_formats.Keys;

    /// <summary>Path of ffmpeg in a directory of PATH; null when there is none.</summary>
    public static string? Find()
    {
        string name = OperatingSystem.IsWindows() ? "ffmpeg.exe" : "ffmpeg";
        return (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<string>> EncodeAsync(
        IReadOnlyList<Image> frames, double fps, string path, IReadOnlyList<KeyValuePair<string, string>>? text = null, CancellationToken cancellationToken = default)
    {
        VideoFrames.Check(frames, fps, path);
        string extension = Path.GetExtension(path);
        if (!s_formats.TryGetValue(extension, out string[]? format))
        {
            throw new ArgumentException($"videos are written as {string.Join(", ", Extensions)}, not as \"{extension}\"");
        }

        // ffmpeg takes the container from the extension, so the temporary name keeps it.
        string full = Path.GetFullPath(path), temporary = Path.Combine(Path.GetDirectoryName(full)!, $".{Path.GetRandomFileName()}.tmp{extension}");
        string size = $"{frames[0].Width}x{frames[0].Height}", rate = fps.ToString("R", CultureInfo.InvariantCulture);
        string comment = string.Join("\n", (text ?? []).Select(t => t.Value));
        try
        {
            await RunAsync(
                frames,
                ["-hide_banner", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-framerate", rate, "-i", "pipe:0", .. format,
                    "-metadata", $"comment={comment}", temporary],
                path, cancellationToken);
            Rename(temporary, full, path);
            return [path];
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private async Task RunAsync(IReadOnlyList<Image> frames, IEnumerable<string> arguments, string path, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ProcessStartInfo start = new(_program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        Process? started;
        try
        {
            started = Process.Start(start);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new IOException($"{path} cannot be written: {_program} does not start ({e.Message})", e);
        }

        using Process process = started!;
        Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None), output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);

        // A write to a pipe that nobody reads does not end by itself; it does when the reader is gone.
        using CancellationTokenRegistration registration = cancellationToken.Register(() => process.Kill(entireProcessTree: true));
        try
        {
            await FeedAsync(process, frames, cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync(CancellationToken.None);
            }
        }

        // An interrupt from the keyboard reaches ffmpeg too; what it then says is not the cause.
        cancellationToken.ThrowIfCancellationRequested();
        await output;
        string said = await errors;
        if (process.ExitCode != 0)
        {
            string last = said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault() ?? "it said nothing";
            throw new IOException($"{path} cannot be written: ffmpeg ended with code {process.ExitCode}: {last}");
        }
    }

    private static async Task FeedAsync(Process process, IReadOnlyList<Image> frames, CancellationToken cancellationToken)
    {
        try
        {
            foreach (Image frame in frames)
            {
                await process.StandardInput.BaseStream.WriteAsync(frame.Pixels, cancellationToken);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // ffmpeg closed its end: it has failed, and its exit code and last line say why.
        }
    }

    private static void Rename(string temporary, string full, string path)
    {
        try
        {
            File.Move(temporary, full, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{path} cannot be written: {e.Message}", e);
        }
    }
}
