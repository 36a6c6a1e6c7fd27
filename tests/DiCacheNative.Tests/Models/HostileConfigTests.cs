using System.Text.Json.Nodes;
using DiCacheNative.Cpu;
using DiCacheNative.Models.Flux;
using DiCacheNative.Models.HunyuanVideo;
using DiCacheNative.Models.Wan;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Models;

/// <summary>Sizes that no model has: every one is an error of the file, told at once.</summary>
public class HostileConfigTests
{
    private static readonly int[] s_numbers = [int.MinValue, -1, 0, 1, 3, 4097, 65537, 1 << 20, 1 << 30, int.MaxValue - 1, int.MaxValue];

    private static readonly (string Family, string Folder, Action<string> Read)[] s_families =
    [
        ("flux", "tests/golden/flux-tiny/schnell/transformer", path => FluxConfig.Read(path)),
        ("wan", "models/shapes-wan", path => WanConfig.Read(path)),
        ("wan-diffusers", "tests/golden/wan-tiny/i2v/diffusers", path => WanConfig.Read(path)),
        ("hunyuan", "tests/golden/hunyuan-tiny/original", path => HunyuanConfig.Read(path)),
        ("hunyuan-diffusers", "tests/golden/hunyuan-tiny/diffusers", path => HunyuanConfig.Read(path)),
    ];

    public static TheoryData<string> Families => [.. s_families.Select(f => f.Family)];

    [Theory]
    [MemberData(nameof(Families))]
    public void Any_two_values_of_any_size_give_a_configuration_or_an_error_of_the_file(string family)
    {
        (_, string source, Action<string> read) = s_families.Single(f => f.Family == family);
        string path = Directory.GetFiles(Repository.File(source.Split('/')), "config.json", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First();
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        string[] keys = [.. config.Where(p => p.Value?.GetValueKind() is System.Text.Json.JsonValueKind.Number or System.Text.Json.JsonValueKind.Array).Select(
            p => p.Key)];
        Assert.InRange(keys.Length, 4, 40);
        using TemporaryFolder folder = new();
        string changed = folder.File("config.json");
        int refused = 0;
        foreach (string first in keys)
        {
            foreach (string second in keys)
            {
                int number = s_numbers[refused % s_numbers.Length];
                JsonObject copy = config.DeepClone().AsObject();
                copy[first] = copy[first] is JsonArray ? new JsonArray(number, number, number) : number;
                copy[second] = copy[second] is JsonArray ? new JsonArray(int.MaxValue - 1, int.MaxValue - 1, number)
                    : s_numbers[(refused + second.Length) % s_numbers.Length];
                File.WriteAllText(changed, copy.ToJsonString());
                try
                {
                    read(changed);
                }
                catch (ModelFormatException e)
                {
                    Assert.Contains(changed, e.Message, StringComparison.Ordinal);
                }

                refused++;
            }
        }
    }

    [Theory]
    [InlineData("num_layers", "num_single_layers", int.MaxValue, "no FLUX model")]
    [InlineData("num_layers", "num_single_layers", 2000, "cannot be made of the")]
    public void More_blocks_than_a_checkpoint_holds_are_refused_before_its_tensors_are_listed(string first, string second, int blocks, string expected)
    {
        using TemporaryFolder folder = new();
        string source = Repository.File("tests", "golden", "flux-tiny", "schnell", "transformer");
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "config.json")))!.AsObject();
        (config[first], config[second]) = (blocks, blocks);
        File.WriteAllText(folder.File("config.json"), config.ToJsonString());
        foreach (string file in Directory.GetFiles(source).Where(f => !f.EndsWith("/config.json", StringComparison.Ordinal)))
        {
            File.Copy(file, folder.File(Path.GetFileName(file)));
        }

        using CpuBackend backend = new();
        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => FluxModel.Load(backend, folder.Path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("double_blocks.2147483646.x")]
    [InlineData("double_blocks.2147483647.x")]
    [InlineData("single_blocks.5000.x")]
    public void A_block_number_beyond_the_number_of_tensors_is_refused(string name)
    {
        using TemporaryFolder folder = new();
        using (SafetensorsFile file = SafetensorsFile.Open(Repository.File("tests", "golden", "flux-tiny", "schnell", "flux1-schnell-tiny.safetensors")))
        {
            SafetensorsWriter writer = new();
            foreach (HostTensor tensor in file.Tensors.Values)
            {
                writer.Add(tensor);
            }

            writer.Add(name, [1], [0]);
            writer.Save(folder.File("m.safetensors"));
        }

        using CpuBackend backend = new();
        Assert.Contains("the file is damaged", Assert.Throws<ModelFormatException>(() => FluxModel.Load(backend, folder.File("m.safetensors"))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_lora_and_a_model_of_another_family_are_named()
    {
        using TemporaryFolder folder = new();
        SafetensorsWriter lora = new();
        lora.Add("transformer.transformer_blocks.0.attn.to_q.lora_A.weight", [1, 2], [1, 2]);
        lora.Save(folder.File("lora.safetensors"));
        using CpuBackend backend = new();
        string wan = Repository.File("models", "shapes-wan", "diffusion_pytorch_model.safetensors");
        foreach (Action<string> load in new Action<string>[] { p => FluxModel.Load(backend, p), p => WanModel.Load(backend, p),
            p => HunyuanModel.Load(backend, p) })
        {
            Assert.Contains("it is a LoRA", Assert.Throws<ModelFormatException>(() => load(folder.File("lora.safetensors"))).Message, StringComparison.Ordinal);
        }

        Assert.Contains("a WAN transformer", Assert.Throws<ModelFormatException>(() => FluxModel.Load(backend, wan)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(27)]
    [InlineData(1_000_001)]
    [InlineData(int.MaxValue)]
    public void Rotary_axes_of_an_impossible_head_are_refused(int width) =>
        Assert.Throws<ModelFormatException>(() => FluxConfig.InferRopeAxes(width));
}
