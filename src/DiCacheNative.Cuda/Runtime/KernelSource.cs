using System.Text.RegularExpressions;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>A kernel file of the engine, embedded in this assembly, with what its header promises.</summary>
internal sealed partial class KernelSource
{
    private KernelSource(string file, string text)
    {
        (File, Text) = (file, text);
        Match budget = Budget().Match(text);
        if (!budget.Success)
        {
            throw new InvalidDataException($"the header of {file} has no line '// budget   registers <= N, smem <= N'");
        }

        (RegisterBudget, SharedBudget) = (int.Parse(budget.Groups[1].ValueSpan), int.Parse(budget.Groups[2].ValueSpan));
        Entries = [.. Entry().Matches(text).Select(m => m.Groups[1].Value)];
    }

    /// <summary>All kernel files, by name.</summary>
    public static IReadOnlyList<KernelSource> All { get; } = [.. Resources(".cu").Select(r => new KernelSource(r.File, r.Text))];

    /// <summary>The files that kernels include, by name.</summary>
    public static IReadOnlyList<(string File, string Text)> Headers { get; } = [.. Resources(".cuh")];

    /// <summary>File name, as in "attention.cu".</summary>
    public string File { get; }

    /// <summary>The source.</summary>
    public string Text { get; }

    /// <summary>Registers per thread that no kernel of the file may pass.</summary>
    public int RegisterBudget { get; }

    /// <summary>Bytes of static shared memory that no kernel of the file may pass.</summary>
    public int SharedBudget { get; }

    /// <summary>Names of the kernels in the file.</summary>
    public IReadOnlyList<string> Entries { get; }

    private static IEnumerable<(string File, string Text)> Resources(string extension)
    {
        const string folder = "kernels/";
        System.Reflection.Assembly assembly = typeof(KernelSource).Assembly;
        IEnumerable<string> names = assembly.GetManifestResourceNames()
            .Where(n => n.StartsWith(folder, StringComparison.Ordinal) && n.EndsWith(extension, StringComparison.Ordinal));
        foreach (string name in names.Order(StringComparer.Ordinal))
        {
            using StreamReader reader = new(assembly.GetManifestResourceStream(name)!);
            yield return (name[folder.Length..], reader.ReadToEnd());
        }
    }

    [GeneratedRegex(@"^// budget\s+registers <= (\d+), smem <= (\d+)", RegexOptions.Multiline)]
    private static partial Regex Budget();

    [GeneratedRegex(@"^extern ""C"" __global__ void __launch_bounds__\([^)]*\) (\w+)\(", RegexOptions.Multiline)]
    private static partial Regex Entry();
}
