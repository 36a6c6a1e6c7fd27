using System.Text.Json;
using DiCacheNative.Weights;

namespace DiCacheNative.Cli.Verify;

/// <summary>Finds the golden cases in a folder and below it.</summary>
internal static class GoldenFolder
{
    private const int LargestFile = 1 << 28;

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
            $"{root} holds no golden case: none of case.json, records.json, cases.json, schedulers.json or golden.json (with its model beside it, or named "
                + $"by --model) was found in it or below");
    }

    /// <summary>Reads a JSON file of a golden folder.</summary>
    /// <exception cref="ModelFormatException">It is missing or no JSON.</exception>
    public static JsonElement ReadJson(string folder, string file)
    {
        string path = Path.Combine(folder, file);
        try
        {
            using JsonDocument document = JsonDocument.Parse(InputFile.ReadAll(path, LargestFile, "a golden file"));
            return document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new ModelFormatException(path, $"cannot be read as JSON: {e.Message}", e);
        }
    }

    /// <summary>A case that asks whether a file holds the tensors of every case, CASE/PART, and no others: nothing is left for nobody to compare.</summary>
    /// <param name="folder">Golden folder.</param>
    /// <param name="name">Its name.</param>
    /// <param name="file">File in it.</param>
    /// <param name="cases">Names of the cases.</param>
    /// <param name="parts">Tensors that each must have.</param>
    /// <param name="some">Tensors that some have.</param>
    public static GoldenCase Inventory(string folder, string name, string file, IReadOnlyList<string> cases, string[] parts, string[]? some = null)
    {
        string id = $"{name}/inventory of {file}";
        return new GoldenCase(id, _ =>
        {
            using SafetensorsFile tensors = SafetensorsFile.Open(Path.Combine(folder, file));
            HashSet<string> expected = [.. cases.SelectMany(c => parts.Select(p => $"{c}/{p}"))];
            HashSet<string> allowed = [.. expected, .. cases.SelectMany(c => (some ?? []).Select(p => $"{c}/{p}"))];
            Comparer comparer = new();
            comparer.Equal("names", expected.IsSubsetOf(tensors.Tensors.Keys) && allowed.IsSupersetOf(tensors.Tensors.Keys)
                && cases.Distinct().Count() == cases.Count);
            foreach (string missing in expected.Except(tensors.Tensors.Keys))
            {
                comparer.Gap($"{file} does not hold {missing}");
            }

            foreach (string orphan in tensors.Tensors.Keys.Except(allowed))
            {
                comparer.Gap($"{orphan} in {file} is of no case");
            }

            return comparer.Result(id);
        });
    }

    /// <summary>A case that asks whether every tensor file of a folder belongs to a case, and is there.</summary>
    public static GoldenCase Files(string folder, string name, IEnumerable<string> files)
    {
        string id = $"{name}/inventory";
        return new GoldenCase(id, _ =>
        {
            string[] named = [.. files], there = [.. Directory.EnumerateFiles(folder, "*.safetensors").Select(f => Path.GetFileName(f))];
            Comparer comparer = new();
            comparer.Equal("files", named.Length > 0 && named.Order().SequenceEqual(there.Order()));
            foreach (string missing in named.Except(there))
            {
                comparer.Gap($"there is no {missing}");
            }

            foreach (string orphan in there.Except(named))
            {
                comparer.Gap($"{orphan} is of no case");
            }

            return comparer.Result(id);
        });
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
                string model when model == "HunyuanVideoTransformer3DModel" || model.StartsWith("HYVideo", StringComparison.Ordinal) =>
                    HunyuanGolden.Cases(folder, name),
                string model => throw new ModelFormatException(folder,
                    $"the model beside the case is a {model}; golden cases are of WAN, HunyuanVideo and FLUX"),
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
            IEnumerable<GoldenCase> whole = Engine.FamilyOf(model) == ModelFamily.Wan ? ShapesWanGolden.Cases(folder, name, model)
                : ShapesFluxGolden.Cases(folder, name, model);
            cases.AddRange(whole.Select(c => c with { UsesModel = true }));
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
