using System.Text.Json;

namespace DiCacheNative.Cli.Verify;

/// <summary>Finds the golden cases in a folder and below it.</summary>
internal static class GoldenFolder
{
    /// <summary>Lists the cases, in the order of their names.</summary>
    /// <param name="root">Folder given by the user.</param>
    /// <param name="modelPath">Model folder for pipeline cases; null to look beside the golden data.</param>
    /// <exception cref="ModelFormatException">The folder is missing or has no case.</exception>
    public static IReadOnlyList<GoldenCase> Discover(string root, string? modelPath = null)
    {
        if (!Directory.Exists(root))
        {
            throw new ModelFormatException($"there is no folder {root}: give a folder of golden cases, such as tests/golden/flux-tiny");
        }

        List<GoldenCase> cases = [];
        foreach (string folder in Directory.EnumerateDirectories(root, "*", SearchOption.AllDirectories).Append(root).Order(StringComparer.Ordinal))
        {
            string name = Path.GetRelativePath(root, folder);
            Add(cases, folder, name == "." ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(root))) : name, modelPath);
        }

        return cases.Count > 0 ? cases : throw new ModelFormatException(
            $"{root} holds no golden case: none of case.json, records.json, cases.json, schedulers.json or golden.json (with its model beside it, or named by --model) was found in it or below");
    }

    /// <summary>Reads a JSON file of a golden folder.</summary>
    /// <exception cref="ModelFormatException">It is missing or no JSON.</exception>
    public static JsonElement ReadJson(string folder, string file)
    {
        string path = Path.Combine(folder, file);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            return document.RootElement.Clone();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new ModelFormatException(path, $"cannot be read as JSON: {e.Message}", e);
        }
    }

    private static void Add(List<GoldenCase> cases, string folder, string name, string? modelPath)
    {
        bool Has(string file) => File.Exists(Path.Combine(folder, file));
        if (Has("case.json") || (Has("records.json") && Has("run.safetensors")))
        {
            cases.AddRange(VideoGolden.ModelClass(folder) switch
            {
                null => FluxGolden.Cases(folder, name),
                "WanModel" or "WanTransformer3DModel" => WanGolden.Cases(folder, name),
                string model when model == "HunyuanVideoTransformer3DModel" || model.StartsWith("HYVideo", StringComparison.Ordinal) => HunyuanGolden.Cases(folder, name),
                string model => throw new ModelFormatException(folder, $"the model beside the case is a {model}; golden cases are of WAN, HunyuanVideo and FLUX"),
            });
        }
        else if (Has("records.json") && Has("scripts.safetensors"))
        {
            cases.AddRange(ControllerGolden.Cases(folder, name));
        }
        else if (Has("cases.json") && Has("inputs.safetensors"))
        {
            cases.AddRange(MathGolden.Cases(folder, name));
        }
        else if (Has("schedulers.json"))
        {
            cases.AddRange(SchedulerGolden.Cases(folder, name));
        }
        else if (Has("golden.json") && (modelPath ?? FindModel(folder)) is { } model)
        {
            cases.AddRange(Engine.FamilyOf(model) == ModelFamily.Wan ? ShapesWanGolden.Cases(folder, name, model) : ShapesFluxGolden.Cases(folder, name, model));
        }
    }

    /// <summary>The model folder around golden data, or models/NAME of a folder above for golden data named NAME.</summary>
    private static string? FindModel(string folder)
    {
        string full = Path.GetFullPath(Path.TrimEndingDirectorySeparator(folder)), name = Path.GetFileName(full);
        for (string? at = Path.GetDirectoryName(full); at is not null; at = Path.GetDirectoryName(at))
        {
            foreach (string candidate in new[] { at, Path.Combine(at, "models", name) })
            {
                if (File.Exists(Path.Combine(candidate, "model_index.json")) || File.Exists(Path.Combine(candidate, "sampling.json")))
                {
                    return candidate;
                }
            }
        }

        return null;
    }
}
