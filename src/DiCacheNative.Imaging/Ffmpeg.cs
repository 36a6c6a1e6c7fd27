using System.ComponentModel;
using System.Diagnostics;
using System.Text.RegularExpressions;

namespace DiCacheNative.Imaging;

/// <summary>The program ffmpeg: where it is, what it can encode, and a run of it.</summary>
internal static partial class Ffmpeg
{
    /// <summary>What ffmpeg says when the disk is full.</summary>
    public const string DiskFull = "No space left on device";

    /// <summary>How long it may take to list its encoders.</summary>
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The programs of that name in the directories of PATH, in order. A file that may not be run is passed over, and so is a directory
    /// that is relative to the current one: what lies there by chance is not run.
    /// </summary>
    public static IEnumerable<string> Candidates()
    {
        string name = OperatingSystem.IsWindows() ? "ffmpeg.exe" : "ffmpeg";
        return (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(Path.IsPathFullyQualified).Select(folder => Path.Combine(folder, name)).Where(CanRun);
    }

    /// <summary>Names of the video encoders of a program; null when it does not run, fails, or does not answer.</summary>
    public static IReadOnlySet<string>? Encoders(string program)
    {
        ProcessStartInfo start = Start(program, ["-hide_banner", "-nostdin", "-encoders"]);
        try
        {
            using Process process = Process.Start(start)!;
            process.StandardInput.Close();
            Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(s_answer))
            {
                process.Kill(entireProcessTree: true);
                return null;
            }

            // A child that keeps the pipe open is not waited for any longer.
            return process.ExitCode == 0 && Task.WhenAll(output, errors).Wait(s_answer)
                ? VideoEncoder().Matches(output.Result).Select(m => m.Groups[1].Value).ToHashSet() : null;
        }
        catch (Exception e) when (e is Win32Exception or IOException)
        {
            return null;
        }
    }

    /// <summary>Runs ffmpeg on frames.</summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">
    /// Its arguments; frames come as raw RGB on its standard input, and it is to print its progress to standard output.
    /// </param>
    /// <param name="frames">The frames.</param>
    /// <param name="patience">How long it may neither take input nor report progress.</param>
    /// <param name="cancellationToken">Ends the program.</param>
    /// <returns>Null when it did its work without a word; else what went wrong.</returns>
    public static async Task<string?> RunAsync(
        string program, IEnumerable<string> arguments, IReadOnlyList<Image> frames, TimeSpan patience, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ProcessStartInfo start = Start(program, arguments);
        start.Environment["SVT_LOG"] = "1"; // or this encoder prints its settings as if they were errors
        Process? started;
        try
        {
            started = Process.Start(start);
        }
        catch (Win32Exception e)
        {
            return $"{program} does not start ({e.Message})";
        }

        using Process process = started!;
        Heartbeat heartbeat = new();
        Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
        Task work = Task.WhenAll(
            FeedAsync(process.StandardInput.BaseStream, frames, heartbeat),
            DrainAsync(process.StandardOutput.BaseStream, heartbeat),
            errors,
            process.WaitForExitAsync(CancellationToken.None));
        bool hangs = false;
        while (!work.IsCompleted && !cancellationToken.IsCancellationRequested && !(hangs = heartbeat.Age > patience))
        {
            await Task.WhenAny(work, Task.Delay(TimeSpan.FromSeconds(Math.Min(1, patience.TotalSeconds / 4)), cancellationToken));
        }

        if (!work.IsCompleted)
        {
            // A write to a pipe that nobody reads does not end by itself; it does when the reader is gone.
            process.Kill(entireProcessTree: true);
            await work;
        }

        // An interrupt from the keyboard reaches ffmpeg too; what it then says is not the cause.
        cancellationToken.ThrowIfCancellationRequested();
        if (hangs)
        {
            return $"ffmpeg neither took frames nor reported progress for {patience.TotalSeconds:0.#} seconds, so it was ended";
        }

        string[] said = (await errors).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        string? cause = said.FirstOrDefault(line => line.Contains(DiskFull, StringComparison.Ordinal)) ?? said.LastOrDefault();
        return process.ExitCode switch
        {
            0 when cause is null => null,
            0 => $"ffmpeg ended as if all were well, but said: {cause}",
            int code => $"ffmpeg ended with code {code}: {cause ?? "it said nothing"}",
        };
    }

    private static ProcessStartInfo Start(string program, IEnumerable<string> arguments) =>
        new(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };

    private static async Task FeedAsync(Stream input, IReadOnlyList<Image> frames, Heartbeat heartbeat)
    {
        const int piece = 1 << 16;
        try
        {
            foreach (Image frame in frames)
            {
                for (int at = 0; at < frame.Pixels.Length; at += piece)
                {
                    await input.WriteAsync(frame.Pixels.AsMemory(at, Math.Min(piece, frame.Pixels.Length - at)));
                    heartbeat.Beat();
                }
            }

            input.Close();
        }
        catch (IOException)
        {
            // ffmpeg closed its end: it has failed, and its exit code and last line say why.
        }
    }

    private static async Task DrainAsync(Stream output, Heartbeat heartbeat)
    {
        byte[] buffer = new byte[1 << 12];
        while (await output.ReadAsync(buffer) > 0)
        {
            heartbeat.Beat();
        }
    }

    private static bool CanRun(string path) =>
        File.Exists(path)
        && (OperatingSystem.IsWindows()
            || (File.GetUnixFileMode(path) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);

    // Flags, of which V stands for video, and the name.
    [GeneratedRegex(@"^ V[A-Z.]{5} (\S+)", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex VideoEncoder();

    private sealed class Heartbeat
    {
        private long _last = Stopwatch.GetTimestamp();

        public TimeSpan Age => Stopwatch.GetElapsedTime(Interlocked.Read(ref _last));

        public void Beat() => Interlocked.Exchange(ref _last, Stopwatch.GetTimestamp());
    }
}
