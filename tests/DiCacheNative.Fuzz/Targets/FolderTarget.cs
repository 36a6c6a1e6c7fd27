using System.Text;

namespace DiCacheNative.Fuzz.Targets;

/// <summary>The embedded models with a file or two changed, gone, foreign or added: loaded, and one small step generated.</summary>
internal sealed class FolderTarget() : Target("folder", 0.6)
{
    private static readonly string s_models = Repository("models");

    private static readonly string[] s_strays = ["._model.safetensors", "diffusion_pytorch_model.fp16.safetensors", "x.safetensors", "config.json",
        "sampling.json", "model_index.json"];

    public override void Run(Random random, string folder)
    {
        bool isFlux = random.Next(2) == 0;
        string source = Path.Combine(s_models, isFlux ? "shapes-flux" : "shapes-wan");
        string[] files = [.. Directory.GetFiles(source, "*", SearchOption.AllDirectories).Where(f => !f.EndsWith(".md", StringComparison.Ordinal)).Order(
            StringComparer.Ordinal)];
        HashSet<string> changed = [.. Enumerable.Range(0, random.Next(1, 3)).Select(_ => files[random.Next(files.Length)])];
        foreach (string file in files)
        {
            string name = Path.GetRelativePath(source, file).Replace('\\', '/');
            if (!changed.Contains(file))
            {
                Link(folder, name, file);
            }
            else
            {
                Change(random, folder, name, file);
            }
        }

        if (random.Next(3) == 0)
        {
            string place = Path.GetDirectoryName(Path.GetRelativePath(source, files[random.Next(files.Length)]))!;
            string stray = Path.Combine(place, s_strays[random.Next(s_strays.Length)]).Replace('\\', '/');
            if (!Path.Exists(Path.Combine(folder, stray)))
            {
                Write(folder, stray, random.Next(2) == 0 ? "{}"u8 : [0, 5, 0x16, 7]);
            }
        }

        using Engine engine = Engine.Load(folder, new EngineOptions { Backend = BackendKind.Cpu, Threads = 1 });
        GenerationRequest request = new() { Prompt = "a red circle", Steps = 1, Width = 32, Height = 32, VideoFrames = isFlux ? 0 : 1, Seed = 1 };
        try
        {
            engine.GenerateAsync(request).GetAwaiter().GetResult();
        }
        catch (ArgumentException e) when (e.Message.Contains("must be multiples of", StringComparison.Ordinal))
        {
            // The size is ours; a model may ask for another multiple.
        }
    }

    private static void Change(Random random, string folder, string name, string file)
    {
        switch (random.Next(10))
        {
            case 0:
                break;
            case 1 when File.Exists("/dev/zero"):
                Link(folder, name, "/dev/zero");
                break;
            case 2:
                Write(folder, name, random.Next(2) == 0 ? [] : "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"u8);
                break;
            case 3:
                Directory.CreateDirectory(Path.Combine(folder, name));
                break;
            default:
                byte[] bytes = File.ReadAllBytes(file);
                bool isJson = name.EndsWith(".json", StringComparison.Ordinal);

                // Of large files the head is changed, or they are cut: numbers further on are only numbers.
                const int head = 8192;
                byte[] result = isJson ? Mutation.Json(random, Encoding.UTF8.GetString(bytes)) : bytes.Length <= head ? Mutation.Damage(random, bytes)
                    : random.Next(3) == 0 ? bytes[..random.Next(bytes.Length)] : [.. Mutation.Damage(random, bytes[..head]), .. bytes[head..]];
                Write(folder, name, result);
                break;
        }
    }

    private static void Link(string folder, string name, string target)
    {
        string path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.CreateSymbolicLink(path, target);
    }

    private static string Repository(string path)
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !Directory.Exists(Path.Combine(folder.FullName, path, "shapes-flux")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder?.FullName ?? throw new DirectoryNotFoundException("the embedded models were not found above the program"), path);
    }
}
