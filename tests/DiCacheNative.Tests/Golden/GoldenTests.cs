using DiCacheNative.Cli.Verify;
using DiCacheNative.Cpu;

namespace DiCacheNative.Tests.Golden;

/// <summary>Every golden case of the repository on the CPU backend, by the code of <c>dicache verify</c>.</summary>
public class GoldenTests
{
    public static TheoryData<string, string> Cases()
    {
        TheoryData<string, string> data = [];
        foreach (string folder in Directory.EnumerateDirectories(Repository.File("tests", "golden")).Order(StringComparer.Ordinal))
        {
            foreach (string name in Discover(Path.GetFileName(folder)).Select(c => c.Name))
            {
                data.Add(Path.GetFileName(folder), name);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Every_tensor_lies_within_its_gate_and_every_decision_is_the_same(string folder, string name)
    {
        using CpuBackend backend = new();
        VerifyResult result = Discover(folder).Single(c => c.Name == name).Run(backend);
        Assert.Null(result.Decisions);
        Assert.NotEmpty(result.Comparisons);
        Assert.All(result.Comparisons, c => Assert.True(c.Passed, $"{c.Name}: {c.MaxAbs} of {c.Gate}"));
    }

    [Fact]
    public void Both_published_error_formulas_and_a_stale_probe_are_among_the_sampling_cases()
    {
        string[] names = [.. Discover("flux-tiny").Select(c => c.Name)];
        Assert.Contains(names, n => n.Contains("deltay", StringComparison.Ordinal));
        Assert.Contains(names, n => n.Contains("deltaminus", StringComparison.Ordinal));
        Assert.Contains(names, n => n.Contains("stale", StringComparison.Ordinal));
        Assert.Contains(names, n => n.EndsWith("[original]", StringComparison.Ordinal));
        Assert.Contains(names, n => n.EndsWith("[diffusers]", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("wan-tiny/i2v/forward", "diffusers")]
    [InlineData("wan-tiny/t2v/forward-padded-batch2", "original")]
    [InlineData("wan-tiny/t2v/sample-unipc-oddwarmup16", "original")]
    [InlineData("wan-tiny/t2v/sample-dpmpp-mix16", "original")]
    [InlineData("hunyuan-tiny/forward-batch2", "original")]
    [InlineData("hunyuan-tiny/sample-depth2-stale12", "original")]
    public void The_video_families_are_found(string folder, string layout)
    {
        string[] parts = folder.Split('/', 2);
        Assert.Single(Discover(parts[0]), c => c.Name == $"{parts[1]} [{layout}]");
    }

    [Fact]
    public void A_changed_weight_is_noticed()
    {
        using CpuBackend backend = new();
        using TemporaryFolder copy = new();
        string source = Repository.File("tests", "golden", "flux-tiny", "schnell");
        foreach (string file in new[] { "forward/case.json", "forward/inputs.safetensors", "forward/outputs.safetensors", "transformer/config.json" })
        {
            copy.Copy(Path.Combine(source, file), file);
        }

        string weights = copy.Copy(Path.Combine(source, "transformer/diffusion_pytorch_model.safetensors"), "transformer/diffusion_pytorch_model.safetensors");
        byte[] bytes = File.ReadAllBytes(weights);
        bytes.AsSpan(bytes.Length / 2, 4096).Clear();
        File.WriteAllBytes(weights, bytes);
        VerifyResult result = Assert.Single(GoldenFolder.Discover(copy.Path)).Run(backend);
        Assert.False(result.Passed);
    }

    private static IReadOnlyList<GoldenCase> Discover(string folder)
    {
        try
        {
            return GoldenFolder.Discover(Repository.File("tests", "golden", folder));
        }
        catch (ModelFormatException)
        {
            // Values that only other tests read (scheduler tables, token ids).
            return [];
        }
    }
}
