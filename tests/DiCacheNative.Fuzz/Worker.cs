using System.Diagnostics;
using System.IO.MemoryMappedFiles;
using System.Text.Json;

namespace DiCacheNative.Fuzz;

/// <summary>
/// Runs cases of one target in this process and reports on standard output, a line each: counts so far with the next case, and failures.
/// Which case runs stands in a file, so that whoever started the process knows it when the process dies.
/// </summary>
internal sealed class Worker(Target target, int seed, string folder)
{
    public const string Accepted = "accepted";
    public const string Undocumented = "UNDOCUMENTED";
    public const string Slow = "SLOW";
    public const string Memory = "MEMORY";
    public const string Hang = "HANG";
    public const string Crash = "CRASH";

    /// <summary>What a case may take of the processor; what the clock says depends on whatever else runs.</summary>
    private static readonly TimeSpan s_cpuLimit = TimeSpan.FromSeconds(2);

    // A case hangs when it goes on for so long and has used the processor for as long as follows, or when it waits for what never comes.
    private static readonly TimeSpan s_hangLimit = TimeSpan.FromSeconds(40), s_hangCpuLimit = TimeSpan.FromSeconds(10), s_waitLimit = TimeSpan.FromMinutes(3);

    private static readonly TimeSpan s_reportInterval = TimeSpan.FromSeconds(10);

    private const long MemoryLimit = 1_000_000_000;
    private const int ReportInterval = 2000;

    private readonly Dictionary<string, long> _counts = [];
    private readonly string _folder = folder;
    private long _running = -1;
    private long _started;
    private long _startedCpu;
    private long _peak;

    /// <summary>Runs cases [first, end).</summary>
    public void Run(long first, long end, string progressFile)
    {
        using MemoryMappedFile map = MemoryMappedFile.CreateFromFile(progressFile, FileMode.OpenOrCreate, null, sizeof(long));
        using MemoryMappedViewAccessor progress = map.CreateViewAccessor();

        // What is loaded, compiled and initialised once is no case's fault.
        for (long warm = 0; warm < 20 && target.Weight > 0; warm++)
        {
            Outcome(int.MaxValue - warm, measured: false);
        }

        new Thread(Watch) { IsBackground = true }.Start();
        long reported = Stopwatch.GetTimestamp();
        for (long i = first; i < end; i++)
        {
            progress.Write(0, i);
            (string outcome, string detail) = Outcome(i, measured: true);
            _counts[outcome] = _counts.GetValueOrDefault(outcome) + 1;
            if (outcome is Undocumented or Slow or Memory)
            {
                Fail(i, outcome, detail);
            }

            if ((i + 1 - first) % ReportInterval == 0 || i + 1 == end || Stopwatch.GetElapsedTime(reported) > s_reportInterval)
            {
                reported = Stopwatch.GetTimestamp();
                Console.Out.WriteLine($"COUNT\t{i + 1}\t{JsonSerializer.Serialize(_counts)}");
                Console.Out.Flush();
                _counts.Clear();
            }
        }
    }

    /// <summary>Runs one case and tells all about it.</summary>
    public void Repeat(long number)
    {
        try
        {
            target.Run(RandomOf(number), _folder);
            Console.WriteLine("accepted");
        }
        catch (Exception e)
        {
            Console.WriteLine($"{(target.IsDocumented(e) ? "documented" : Undocumented)}: {e}");
        }
    }

    private Random RandomOf(long number)
    {
        // FNV-1a over target, seed and number: equal on every machine.
        uint hash = 2166136261;
        foreach (char c in $"{target.Name}:{seed}:{number}")
        {
            hash = (hash ^ c) * 16777619;
        }

        return new Random((int)(hash & int.MaxValue));
    }

    private (string Outcome, string Detail) Outcome(long number, bool measured)
    {
        Clear(_folder);
        Random random = RandomOf(number);
        long bytes = GC.GetAllocatedBytesForCurrentThread();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        (string Outcome, string Detail) result;
        Volatile.Write(ref _peak, 0);
        Volatile.Write(ref _startedCpu, cpu.Ticks);
        Volatile.Write(ref _started, Stopwatch.GetTimestamp());
        Volatile.Write(ref _running, number);
        try
        {
            target.Run(random, _folder);
            result = (Accepted, "");
        }
        catch (Exception e) when (target.IsDocumented(e))
        {
            result = (e.GetType().Name, "");
        }
        catch (Exception e)
        {
            result = (Undocumented, e.ToString());
        }

        Volatile.Write(ref _running, -1);
        cpu = Environment.CpuUsage.TotalTime - cpu;
        bytes = GC.GetAllocatedBytesForCurrentThread() - bytes;
        long peak = Volatile.Read(ref _peak);
        return !measured || result.Outcome == Undocumented ? result
            : cpu > s_cpuLimit ? (Slow, $"{cpu.TotalSeconds:0.0} s of processor time, then {result.Outcome}")
            : bytes > MemoryLimit || peak > MemoryLimit ? (Memory, $"{bytes} bytes allocated, {peak} in use, then {result.Outcome}")
            : result;
    }

    private void Watch()
    {
        while (true)
        {
            Thread.Sleep(100);
            long number = Volatile.Read(ref _running);
            if (number < 0)
            {
                continue;
            }

            Volatile.Write(ref _peak, Math.Max(_peak, Environment.WorkingSet));
            TimeSpan time = Stopwatch.GetElapsedTime(Volatile.Read(ref _started)),
                cpu = Environment.CpuUsage.TotalTime - TimeSpan.FromTicks(Volatile.Read(ref _startedCpu));
            bool hangs = time > s_waitLimit || (time > s_hangLimit && cpu > s_hangCpuLimit);
            if (hangs && Volatile.Read(ref _running) == number)
            {
                Fail(number, Hang, $"still running after {time.TotalSeconds:0} s, of which it had the processor for {cpu.TotalSeconds:0}");
                Process.GetCurrentProcess().Kill();
            }
        }
    }

    private static void Fail(long number, string outcome, string detail)
    {
        Console.Out.WriteLine($"FAIL\t{number}\t{outcome}\t{detail.ReplaceLineEndings(" | ")}");
        Console.Out.Flush();
    }

    private static void Clear(string folder)
    {
        foreach (string entry in Directory.EnumerateFileSystemEntries(folder))
        {
            if (File.GetAttributes(entry) is var attributes && attributes.HasFlag(FileAttributes.Directory) && !attributes.HasFlag(FileAttributes.ReparsePoint))
            {
                Directory.Delete(entry, recursive: true);
            }
            else
            {
                File.Delete(entry);
            }
        }
    }
}
