using System.Globalization;

namespace DiCacheNative.Backends;

/// <summary>How much memory of this machine is free now for this process.</summary>
public static class HostMemory
{
    private const string Groups = "/sys/fs/cgroup";

    /// <summary>
    /// Bytes that can be taken now: the least of what the system calls available, of what the limits of the process's control groups (v1 and v2) leave beside
    /// what is used, and of what the runtime may use at all. File cache that can be dropped counts as free.
    /// </summary>
    public static long AvailableBytes => OperatingSystem.IsLinux() ? OfLinux(ReadOrNull) : OfRuntime();

    /// <summary>What Linux says.</summary>
    /// <param name="read">The text of a file; null when it is not there.</param>
    internal static long OfLinux(Func<string, string?> read)
    {
        long free = Field(read("/proc/meminfo"), "MemAvailable:") is { } kilobytes ? kilobytes * 1024 : OfRuntime();
        foreach (string line in Lines(read("/proc/self/cgroup")))
        {
            // "0::/path" for version 2, "4:memory:/path" for version 1.
            if (line.Split(':', 3) is not [_, var controllers, var path])
            {
                continue;
            }

            if (controllers.Length == 0)
            {
                free = Math.Min(free, Left(read, Groups, path, "memory.max", "memory.current", "inactive_file"));
            }
            else if (controllers.Split(',').Contains("memory"))
            {
                free = Math.Min(free, Left(read, Groups + "/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
            }
        }

        return Math.Max(0, Math.Min(free, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes));
    }

    private static long OfRuntime()
    {
        GCMemoryInfo info = GC.GetGCMemoryInfo();
        return Math.Max(0, info.TotalAvailableMemoryBytes - info.MemoryLoadBytes);
    }

    /// <summary>What a group and those around it leave; a container may see its own group at the root only.</summary>
    private static long Left(Func<string, string?> read, string root, string path, string limit, string usage, string cached)
    {
        long left = long.MaxValue;
        for (string folder = path.TrimEnd('/'); ; folder = folder[..Math.Max(0, folder.LastIndexOf('/'))])
        {
            string group = root + folder;
            if (Number(read($"{group}/{limit}")) is { } most && Number(read($"{group}/{usage}")) is { } used)
            {
                left = Math.Min(left, most - used + (Field(read($"{group}/memory.stat"), cached) ?? 0));
            }

            if (folder.Length == 0)
            {
                return left;
            }
        }
    }

    private static long? Field(string? text, string name)
    {
        string? line = Lines(text).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal) && l.Length > name.Length
            && char.IsWhiteSpace(l[name.Length]));
        return Number(line?[name.Length..].Replace("kB", string.Empty, StringComparison.Ordinal));
    }

    private static long? Number(string? text) =>
        long.TryParse(text, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out long number) ? number : null;

    private static string[] Lines(string? text) => text?.Split('\n', StringSplitOptions.TrimEntries) ?? [];

    private static string? ReadOrNull(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
