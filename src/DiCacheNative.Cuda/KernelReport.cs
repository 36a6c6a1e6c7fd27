using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda;

/// <summary>
/// Compiles every kernel with NVRTC and tells what each one needs. It works without a GPU: only the compiler has to be there.
/// </summary>
public static partial class KernelReport
{
    /// <summary>The architectures that the kernels are written for.</summary>
    public static IReadOnlyList<string> Architectures { get; } = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_90a"];

    /// <summary>Compiles all kernels for some architectures.</summary>
    /// <param name="libraries">Where NVRTC comes from; driver and cuBLASLt are not needed.</param>
    /// <param name="architectures">As in <see cref="Architectures"/>.</param>
    /// <param name="threads">How many files are compiled at the same time.</param>
    /// <returns>One row per kernel and architecture, ordered by file, kernel and architecture.</returns>
    /// <exception cref="BackendException">NVRTC is absent.</exception>
    /// <exception cref="KernelCompileException">A kernel does not compile.</exception>
    public static IReadOnlyList<KernelResources> Compile(CudaLibraries libraries, IReadOnlyList<string> architectures, int threads = 2)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        ArgumentNullException.ThrowIfNull(architectures);
        KernelCompiler compiler = new(libraries.Nvrtc ?? throw new BackendException(
            $"kernels cannot be compiled: {libraries.Missing.FirstOrDefault(m => m.Contains("nvrtc", StringComparison.Ordinal)) ?? "NVRTC is missing"}"));
        ConcurrentBag<KernelResources> rows = [];
        var work = architectures.SelectMany(a => KernelSource.All.Select(s => (Source: s, Architecture: a)));
        try
        {
            Parallel.ForEach(
                Partitioner.Create(work, EnumerablePartitionerOptions.NoBuffering),
                new ParallelOptions { MaxDegreeOfParallelism = threads },
                item => Measure(compiler, item.Source, item.Architecture, rows));
        }
        catch (AggregateException e) when (e.InnerExceptions[0] is BackendException)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return [.. rows.OrderBy(r => r.File, StringComparer.Ordinal).ThenBy(r => r.Kernel, StringComparer.Ordinal).ThenBy(r => r.Architecture,
            StringComparer.Ordinal)];
    }

    /// <summary>The rows as a table: kernel, architecture, registers, static shared memory, spills.</summary>
    public static string Format(IEnumerable<KernelResources> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        StringBuilder table = new($"{"kernel",-36} {"arch",-7} {"registers",14} {"smem bytes",15} {"spill bytes",12}\n");
        foreach (KernelResources r in rows)
        {
            table.Append(
                CultureInfo.InvariantCulture,
                $"{r.Kernel,-36} {r.Architecture,-7} {$"{r.Registers} of {r.RegisterBudget}",14} {$"{r.SharedBytes} of {r.SharedBudget}",15} "
                    + $"{r.SpillBytes,12}\n");
        }

        return table.ToString();
    }

    private static void Measure(KernelCompiler compiler, KernelSource source, string architecture, ConcurrentBag<KernelResources> rows)
    {
        compiler.Compile(source.File, source.Text, architecture, out string log, "--ptxas-options=-v");
        int found = 0;
        foreach (Match m in Resources().Matches(log))
        {
            int Value(string group) => m.Groups[group].Success ? int.Parse(m.Groups[group].ValueSpan, CultureInfo.InvariantCulture) : 0;
            rows.Add(new KernelResources(
                source.File, m.Groups["kernel"].Value, architecture, Value("registers"), Value("shared"), Value("stores") + Value("loads"),
                source.RegisterBudget, source.SharedBudget));
            found++;
        }

        if (found != source.Entries.Count)
        {
            throw new BackendException($"{source.File} has {source.Entries.Count} kernels, but the compiler reported on {found} for {architecture}: {log}");
        }
    }

    [GeneratedRegex(
        @"Compiling entry function '(?<kernel>\w+)'[^\n]*\n(?:(?!Compiling entry)[^\n]*\n)*?[^\n]*?(?<stores>\d+) bytes spill stores, (?<loads>\d+) bytes spill loads[^\n]*\n[^\n]*Used (?<registers>\d+) registers(?:, used \d+ barriers)?(?:, (?:\d+ bytes cumulative stack size, )?(?:(?<shared>\d+) bytes smem)?)?")]
    private static partial Regex Resources();
}
