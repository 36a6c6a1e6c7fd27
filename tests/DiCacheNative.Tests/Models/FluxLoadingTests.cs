using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Flux;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Models;

public class FluxLoadingTests
{
    private static readonly string s_folder = Repository.File("tests", "golden", "flux-tiny", "schnell");
    private static readonly string s_original = Path.Combine(s_folder, "flux1-schnell-tiny.safetensors");

    [Fact]
    public void The_plan_is_what_is_then_allocated()
    {
        SessionOptions options = new() { Branches = 2 };
        FluxShape shape = TinyFlux.Shape(slots: 2);
        DiCachePolicy policy = new(DiCacheOptions.Default);
        MemoryPlan plan = FluxModel.Plan(TinyFlux.Config, shape, policy, options, DType.F32);
        using CpuBackend backend = new();
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config);
        using FluxProgram program = model.CreateProgram(shape);
        using DiTSession session = new(program, policy, options);
        Assert.Equal((plan.Parameters, plan.ActivationBytes, plan.CacheBytes), (model.Parameters, program.ActivationBytes, session.CacheBytes));
    }

    [Fact]
    public void Geometry_is_inferred_from_the_tensors_of_the_original_layout()
    {
        using CpuBackend backend = new();
        using FluxModel model = FluxModel.Load(backend, s_original);
        FluxConfig expected = FluxConfig.Read(Path.Combine(s_folder, "transformer", "config.json"));
        Assert.Equal(expected with { RopeAxes = [] }, model.Config with { RopeAxes = [] });
        Assert.Equal(expected.RopeAxes, model.Config.RopeAxes);
    }

    [Fact]
    public void Both_layouts_predict_the_same_bits()
    {
        using CpuBackend backend = new();
        float[] Velocity(string path)
        {
            using FluxModel model = FluxModel.Load(backend, path);
            using FluxProgram program = model.CreateProgram(new FluxShape(1, 2, 3, 5));
            program.SetConditions(0, TinyFlux.Noise(1, 5 * 36), TinyFlux.Noise(2, 24), []);
            using DiCacheNative.Models.DiTSession session = new(program, CacheOptions.None);
            float[] velocity = new float[6 * 8];
            session.Begin([0.5f]);
            session.Step(TinyFlux.Noise(3, 6 * 8), 0.5f, 0, velocity);
            return velocity;
        }

        Assert.Equal(Velocity(Path.Combine(s_folder, "transformer")), Velocity(s_original));
    }

    [Fact]
    public void Missing_extra_and_misshapen_tensors_are_named_with_both_shapes()
    {
        using CpuBackend backend = new();
        using TemporaryFolder folder = new();
        using (SafetensorsFile file = SafetensorsFile.Open(s_original))
        {
            SafetensorsWriter writer = new();
            foreach ((string name, HostTensor tensor) in file.Tensors)
            {
                switch (name)
                {
                    case "img_in.bias":
                        writer.Add("img_in.offset", [56], tensor.ToArray());
                        break;
                    case "txt_in.weight":
                        writer.Add(name, [36, 56], tensor.ToArray());
                        break;
                    default:
                        writer.Add(tensor);
                        break;
                }
            }

            writer.Save(folder.File("broken.safetensors"));
            File.Copy(Path.Combine(s_folder, "transformer", "config.json"), folder.File("config.json"));
        }

        string message = Assert.Throws<ModelFormatException>(() => FluxModel.Load(backend, folder.File("broken.safetensors"))).Message;
        Assert.Contains("img_in.bias [56]", message, StringComparison.Ordinal);
        Assert.Contains("img_in.offset [56]", message, StringComparison.Ordinal);
        Assert.Contains("txt_in.weight is [36, 56] instead of [56, 36]", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("\"num_layers\": 5", "\"num_layers\": 0", "0 double")]
    [InlineData("\"num_layers\": 5", "\"num_layers\": \"five\"", "num_layers")]
    [InlineData("\"num_layers\": 5", "\"layers\": 5", "num_layers")]
    [InlineData("\"attention_head_dim\": 28", "\"attention_head_dim\": 27", "must be even")]
    [InlineData("FluxTransformer2DModel", "SanaTransformer2DModel", "SanaTransformer2DModel")]
    public void An_impossible_config_is_refused(string find, string replace, string expected)
    {
        using TemporaryFolder folder = new();
        string text = File.ReadAllText(Path.Combine(s_folder, "transformer", "config.json"));
        Assert.Contains(find, text, StringComparison.Ordinal);
        File.WriteAllText(folder.File("config.json"), text.Replace(find, replace, StringComparison.Ordinal));
        Assert.Contains(expected, Assert.Throws<ModelFormatException>(() => FluxConfig.Read(folder.File("config.json"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rotary_axes_are_inferred_for_the_released_head_width_and_the_tiny_ones()
    {
        Assert.Equal([16, 56, 56], FluxConfig.InferRopeAxes(128));
        Assert.Equal([8, 12, 12], FluxConfig.InferRopeAxes(32));
        Assert.Equal([4, 12, 12], FluxConfig.InferRopeAxes(28));
    }

    [Fact]
    public void Operations_of_a_call_count_two_per_multiply_add()
    {
        using CpuBackend backend = new();
        using FluxModel model = FluxModel.Random(backend, TinyFlux.Config);
        using FluxProgram program = model.CreateProgram(TinyFlux.Shape());
        DiCacheNative.Models.SegmentFlops flops = program.Flops(1);
        double block = (24.0 * 64 * 64 * 22) + (4.0 * 22 * 22 * 64);
        Assert.Equal(block, flops.Probe);
        Assert.Equal(4 * block, flops.Body);
        Assert.Equal(2 * 15 * 16 * 64, flops.Embed);
        Assert.Equal(flops.Embed, flops.Head);
        Assert.Equal(1, flops.IdealSpeedUp(10, 0));
        Assert.Equal(flops.Full / flops.Skip, flops.IdealSpeedUp(0, 10), 1e-12);
    }
}
