using DiCacheNative.Caching;
using DiCacheNative.Cpu;
using DiCacheNative.Models;
using DiCacheNative.Models.Wan;
using DiCacheNative.Sampling;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Models;

/// <summary>The transformer of the embedded video model alone, against what its training code computed: the velocity of each branch, and latents.</summary>
public class ShapesWanTests
{
    private const int Steps = 30;
    private const int RecordedStep = 15;
    private const float Guidance = 4;
    private const double Shift = 3;
    private const double Gate = 1e-4;

    private static readonly LatentSize s_latent = LatentSize.OfVideo(17, 64, 64);

    [Theory]
    [InlineData("0", "euler")]
    [InlineData("1", "unipc")]
    public void Velocities_and_latents_are_those_of_the_training_code(string name, string solver)
    {
        using CpuBackend backend = new();
        using SafetensorsFile golden = SafetensorsFile.Open(Repository.File("tests", "golden", "shapes-wan", name + ".safetensors"));
        using WanModel model = WanModel.Load(backend, Repository.File("models", "shapes-wan"));
        using WanProgram program = model.CreateProgram(new WanShape(s_latent) { Slots = 2, MaxSteps = Steps });
        using DiTSession session = new(program, NoCachePolicy.Instance, new SessionOptions { Branches = 2 });
        program.SetConditions(0, new WanConditions { Text = golden.Tensors["context"].ToArray() });
        program.SetConditions(1, new WanConditions { Text = golden.Tensors["context_null"].ToArray() });
        ISampler sampler = solver == "unipc" ? new UniPcFlow(Steps, Shift)
            : FlowMatchEuler.Create(new SchedulerConfig { Shift = Shift }, Steps, imageTokens: 0);

        float[] latents = golden.Tensors["noise"].ToArray();
        float[][] velocity = [new float[latents.Length], new float[latents.Length]];
        session.Begin([.. sampler.Sigmas.Take(Steps)], [.. sampler.Timesteps]);
        for (int step = 0; step < Steps; step++)
        {
            if (step == RecordedStep)
            {
                AssertEqual(golden.Tensors["latents_half_way"].ToArray(), latents);
            }

            foreach ((int branch, string kind) in new[] { (0, "velocity_cond"), (1, "velocity_uncond") })
            {
                session.Step(latents, sampler.Sigmas[step], branch, velocity[branch]);
                if (step == RecordedStep)
                {
                    AssertEqual(golden.Tensors[kind].ToArray(), velocity[branch]);
                }
            }

            sampler.Step(step, latents, [.. velocity[0].Zip(velocity[1], (cond, uncond) => uncond + (Guidance * (cond - uncond)))]);
        }

        AssertEqual(golden.Tensors["latents"].ToArray(), latents);
    }

    private static void AssertEqual(float[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        Assert.Equal(0, expected.Zip(actual, (e, a) => Math.Abs((double)e - a)).Max(), Gate);
    }
}
