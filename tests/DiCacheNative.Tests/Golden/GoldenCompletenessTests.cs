using System.Text.Json;
using System.Text.Json.Nodes;
using DiCacheNative.Cli.Verify;
using DiCacheNative.Cpu;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Golden;

/// <summary>No golden value can be lost, changed or left out without a case that fails.</summary>
public sealed class GoldenCompletenessTests : IDisposable
{
    // A value that no two numbers of the golden data differ by.
    private const float Change = 0.37f;

    private readonly CpuBackend _backend = new();
    private readonly TemporaryFolder _copy = new();

    public void Dispose()
    {
        _copy.Dispose();
        _backend.Dispose();
    }

    // Cases of a folder that is lost would fail nowhere else.
    [Theory]
    [InlineData("dicache-controller", 51)]
    [InlineData("dicache-math", 81)]
    [InlineData("flux-tiny", 21)]
    [InlineData("hunyuan-tiny", 8)]
    [InlineData("schedulers", 24)]
    [InlineData("shapes-flux", 14)]
    [InlineData("shapes-wan", 4)]
    [InlineData("wan-tiny", 14)]
    public void Every_golden_folder_has_all_its_cases(string folder, int count) =>
        Assert.Equal(count, GoldenFolder.Discover(Repository.File("tests", "golden", folder)).Count);

    [Theory]
    [InlineData("flux-tiny/schnell", "forward")]
    [InlineData("hunyuan-tiny", "forward")]
    [InlineData("wan-tiny/i2v", "forward")]
    public void Every_tensor_of_a_forward_is_compared(string family, string name)
    {
        string path = CopyCase(family, name) + "/outputs.safetensors";
        EachTensorMatters(path, name);
        AnUnknownTensorIsNoticed(path, name);
    }

    [Theory]
    [InlineData("flux-tiny/schnell", "sample-baseline4")]
    [InlineData("hunyuan-tiny", "sample-depth2-stale12")]
    [InlineData("wan-tiny/t2v", "sample-unipc-depth3-stale12")]
    public void Every_tensor_of_a_sampling_run_is_compared(string family, string name)
    {
        string path = CopyCase(family, name) + "/run.safetensors";
        EachTensorMatters(path, name);
        AnUnknownTensorIsNoticed(path, name);
    }

    [Theory]
    [InlineData("flux-tiny/dev", "sample-deltaminus-depth2-stale12")]
    [InlineData("hunyuan-tiny", "sample-depth2-stale12")]
    [InlineData("wan-tiny/t2v", "sample-unipc-depth3-stale12")]
    public void Every_member_of_a_recorded_call_is_compared(string family, string name)
    {
        string path = Path.Combine(CopyCase(family, name), "records.json");
        string text = File.ReadAllText(path);
        int calls = JsonNode.Parse(text)!["steps"]!.AsArray().Count;

        // One call of each kind, and each of their members.
        int[] kinds = [.. Enumerable.Range(0, calls).GroupBy(i => (string?)JsonNode.Parse(text)!["steps"]![i]!["decision"]).Select(g => g.Last())];
        EachMemberMatters(path, text, name, root => [.. kinds.Select(i => root["steps"]![i]!.AsObject())]);
        EachMemberMatters(path, text, name, root => [root["summary"]!.AsObject()]);

        // And that no call can be dropped.
        Fails(path, text, name, root => root["steps"]!.AsArray().RemoveAt(calls - 1), "calls are recorded");
    }

    [Fact]
    public void Every_member_of_a_call_of_the_scripted_backbone_is_compared()
    {
        string folder = Repository.File("tests", "golden", "dicache-controller");
        _copy.Copy(Path.Combine(folder, "scripts.safetensors"), "scripts.safetensors");
        string path = _copy.Copy(Path.Combine(folder, "records.json"), "records.json"), text = File.ReadAllText(path);
        int at = JsonNode.Parse(text)!.AsArray().Select(r => (string)r!["name"]!).ToList().IndexOf("flux/random-depth1");
        EachMemberMatters(path, text, "flux/random-depth1", root => [root[at]!["steps"]![4]!.AsObject(), root[at]!["steps"]![6]!.AsObject()]);
        Fails(path, text, "inventory", root => root.AsArray().RemoveAt(at), "is of no case");
    }

    [Theory]
    [InlineData("gamma_raw")]
    [InlineData("mean_abs_probe_prev")]
    [InlineData("gamma_clip_1_2")]
    public void Every_sum_of_the_probe_is_compared(string member)
    {
        string folder = Repository.File("tests", "golden", "dicache-math");
        _copy.Copy(Path.Combine(folder, "inputs.safetensors"), "inputs.safetensors");
        _copy.Copy(Path.Combine(folder, "outputs.safetensors"), "outputs.safetensors");
        string path = _copy.Copy(Path.Combine(folder, "cases.json"), "cases.json"), text = File.ReadAllText(path);
        Fails(path, text, "/random-1-f32", root => root["cases"]![0]!["f64"]!.AsObject().Remove(member), $"{member} is not recorded");
        Fails(path, text, "inventory of outputs", root => root["cases"]!.AsArray().RemoveAt(0), "is of no case");
        Fails(path, text, "warmup_truncation", root => root["warmup_truncation"]![2]!["int"] = 3, null);
    }

    [Fact]
    public void Every_number_of_a_scheduler_is_compared()
    {
        string folder = Repository.File("tests", "golden", "schedulers");
        string path = _copy.Copy(Path.Combine(folder, "schedulers.json"), "schedulers.json"), text = File.ReadAllText(path);
        string steps = _copy.Copy(Path.Combine(folder, "steps.safetensors"), "steps.safetensors"),
            exact = _copy.Copy(Path.Combine(folder, "steps.f64.safetensors"), "steps.f64.safetensors");
        string run = (string)JsonNode.Parse(text)!["stepping"]![0]!["name"]!;
        EachMemberMatters(path, text, run, root => [root["stepping"]![0]!["steps"]![1]!.AsObject()]);
        Fails(path, text, "/wan_unipc", root => root["wan_unipc"]![0]!["timesteps"]![1] = 1, null);
        Fails(path, text, "inventory of steps.safetensors", root => root["stepping"]!.AsArray().RemoveAt(0), "is of no case");
        foreach (string file in new[] { steps, exact })
        {
            byte[] bytes = File.ReadAllBytes(file);
            Rewrite(file, t => t == run + "/samples" ? Altered : null);
            Assert.False(Result(run).Passed);
            File.WriteAllBytes(file, bytes);
        }
    }

    [Fact]
    public void A_golden_file_of_a_pipeline_cannot_be_missing()
    {
        string folder = Repository.File("tests", "golden", "shapes-flux");
        foreach (string file in Directory.EnumerateFiles(folder).Where(f => !f.EndsWith("dicache-0-40.safetensors", StringComparison.Ordinal)))
        {
            _copy.Copy(file, Path.GetFileName(file));
        }

        VerifyResult result = GoldenFolder.Discover(_copy.Path, Repository.File("models", "shapes-flux")).Single(c =>
            c.Name.EndsWith("inventory", StringComparison.Ordinal)).Run(_backend);
        Assert.False(result.Passed);
        Assert.Equal(["there is no dicache-0-40.safetensors"], result.Gaps);
    }

    [Fact]
    public void What_is_not_compared_stands_in_a_list_that_says_why()
    {
        Comparer comparer = new();
        comparer.Expect(["a", "b"], "outputs.safetensors");
        comparer.Tensor("a", [1f], [1.0], 0.1);
        using JsonDocument record = JsonDocument.Parse("""{ "delta_y": null, "gamma": 1.5, "note": "x", "other": 1 }""");
        comparer.Record(
            new Dictionary<string, object?> { ["delta_y"] = 0.5f, ["gamma"] = 1.5f, ["error"] = 0.5f }, record.RootElement, "step 3", new Dictionary<string,
            string>
            { ["note"] = "a remark" });
        VerifyResult result = comparer.Result("a case");
        Assert.False(result.Passed);
        Assert.Equal(
            [
                "step 3: delta_y is 0.5, and recorded as ",
                "step 3: error is not recorded",
                "step 3: other is recorded, and compared with nothing",
                "b of outputs.safetensors was compared with nothing",
            ],
            result.Gaps);
    }

    /// <summary>Copies a case with the models beside it, and gives the folder of the case.</summary>
    private string CopyCase(string family, string name)
    {
        string source = Repository.File("tests", "golden", family);
        IEnumerable<string> beside = Directory.EnumerateDirectories(source).Where(d => !File.Exists(Path.Combine(d, "inputs.safetensors")));
        foreach (string file in beside.Append(Path.Combine(source, name)).SelectMany(d => Directory.EnumerateFiles(d)).Concat(Directory.EnumerateFiles(source)))
        {
            _copy.Copy(file, Path.GetRelativePath(source, file));
        }

        return _copy.File(name);
    }

    private void EachTensorMatters(string path, string name)
    {
        byte[] bytes = File.ReadAllBytes(path);
        Assert.True(Result(name).Passed);
        string[] tensors;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            tensors = [.. file.Tensors.Keys];
        }

        foreach (string tensor in tensors)
        {
            Rewrite(path, t => t == tensor ? Altered : null);
            VerifyResult changed = Result(name);
            Assert.True(!changed.Passed && changed.Comparisons.Any(c => !c.Passed && c.Name == tensor), $"{tensor} was changed");
            File.WriteAllBytes(path, bytes);
        }

        // All but one by one: a forward is asked for the tensors that its case lists, a run for the four that each has.
        Rewrite(path, t => t == tensors[^1] ? Removed : null);
        VerifyResult lost = Result(name);
        Assert.True(!lost.Passed && lost.Gaps.Any(g => g.StartsWith(tensors[^1], StringComparison.Ordinal)), $"{tensors[^1]} was removed");
        File.WriteAllBytes(path, bytes);
    }

    // The same as a tensor that the program does not give any more.
    private void AnUnknownTensorIsNoticed(string path, string name)
    {
        byte[] bytes = File.ReadAllBytes(path);
        SafetensorsWriter writer = new();
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach (HostTensor tensor in file.Tensors.Values)
            {
                writer.Add(tensor);
            }

            writer.Add("double.77.img", [1], [1f]);
            writer.Save(path + ".new");
        }

        File.Move(path + ".new", path, overwrite: true);
        VerifyResult result = Result(name);
        Assert.False(result.Passed);
        Assert.Contains(result.Gaps, g => g.StartsWith("double.77.img", StringComparison.Ordinal));
        File.WriteAllBytes(path, bytes);
    }

    private void EachMemberMatters(string path, string text, string name, Func<JsonNode, IReadOnlyList<JsonObject>> records)
    {
        File.WriteAllText(path, text);
        Assert.True(Result(name).Passed);
        IReadOnlyList<JsonObject> originals = records(JsonNode.Parse(text)!);
        for (int i = 0; i < originals.Count; i++)
        {
            foreach (string member in originals[i].Select(m => m.Key).Where(m => m != "order"))
            {
                int at = i;
                Fails(path, text, name, root => records(root)[at].Remove(member), null, $"{member} of record {i} was removed");
                Fails(path, text, name, root => records(root)[at][member] = Other(records(root)[at][member]), null, $"{member} of record {i} was changed");
            }
        }
    }

    private void Fails(string path, string text, string name, Action<JsonNode> plant, string? gap, string? what = null)
    {
        JsonNode root = JsonNode.Parse(text)!;
        plant(root);
        File.WriteAllText(path, root.ToJsonString());
        VerifyResult result = Result(name);
        Assert.False(result.Passed, what);
        if (gap is not null)
        {
            Assert.Contains(result.Gaps, g => g.Contains(gap, StringComparison.Ordinal));
        }

        File.WriteAllText(path, text);
    }

    private static JsonNode? Other(JsonNode? value) => value?.GetValueKind() switch
    {
        null => 0.5,
        JsonValueKind.Number => (value.GetValue<double>() * 1.01) + 1,
        JsonValueKind.True => false,
        JsonValueKind.False => true,
        JsonValueKind.Array => new JsonArray(7),
        _ => "something else",
    };

    private VerifyResult Result(string name) =>
        GoldenFolder.Discover(_copy.Path).First(c => c.Name.Contains(name, StringComparison.Ordinal)).Run(_backend);

    private static float[] Altered(float[] values)
    {
        // In the first row, for the last ones may be padding; and the second of a pair, where values come in equal pairs.
        values[Math.Min(1, values.Length - 1)] += Change;
        return values;
    }

    private static float[]? Removed(float[] values) => null;

    /// <summary>Writes a file again with some tensors changed or left out, as binary32.</summary>
    private static void Rewrite(string path, Func<string, Func<float[], float[]?>?> change)
    {
        SafetensorsWriter writer = new();
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            foreach ((string name, HostTensor tensor) in file.Tensors)
            {
                if (change(name) is not { } apply)
                {
                    writer.Add(tensor);
                }
                else if (apply(tensor.ToArray()) is { } values)
                {
                    writer.Add(name, tensor.Shape, values);
                }
            }

            writer.Save(path + ".new");
        }

        File.Move(path + ".new", path, overwrite: true);
    }
}
