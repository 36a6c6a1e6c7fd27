using DiCacheNative.Fuzz.Targets;

namespace DiCacheNative.Fuzz;

/// <summary>
/// Throws hostile files at every reader. The answer to each must be success or a documented exception, in less than 2 s of processor time
/// and 1 GB of memory. dotnet run --project tests/DiCacheNative.Fuzz -c Release -- --cases 1000000
/// </summary>
internal static class Program
{
    private static readonly Target[] s_targets =
    [
        new SafetensorsTarget(), new ShardsTarget(), new ConfigTarget(), new PipelineTarget(), new TokenizerTarget(), new ClipTarget(), new TraceTarget(),
            new PictureTarget(),
        new ModelTarget(), new GraphTarget(), new FolderTarget(), .. FaultTarget.All,
    ];

    public static int Main(string[] args)
    {
        Options options;
        Target[] targets;
        try
        {
            options = Options.Parse(args);
            targets = options.Targets.Count == 0 ? [.. s_targets.Where(t => t.Weight > 0)] : [.. options.Targets.Select(Find)];
        }
        catch (ArgumentException e)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }

        if (options.Worker is { } part)
        {
            WithFolder(folder => new Worker(targets[0], options.Seed, folder).Run(part.First, part.End, part.Progress));
            return 0;
        }

        if (options.Case is { } number)
        {
            string folder = Directory.CreateTempSubdirectory("fuzz-case-").FullName;
            Console.WriteLine($"{targets[0].Name}, seed {options.Seed}, case {number}, in {folder}");
            new Worker(targets[0], options.Seed, folder).Repeat(number);
            return 0;
        }

        return new Supervisor(options).Run(targets) ? 0 : 1;
    }

    private static Target Find(string name) => Array.Find(s_targets, t => t.Name == name)
        ?? throw new ArgumentException($"there is no target {name}: {string.Join(", ", s_targets.Select(t => t.Name))} are");

    private static void WithFolder(Action<string> action)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fuzz-");
        try
        {
            action(folder.FullName);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
