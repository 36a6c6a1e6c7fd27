using DiCacheNative.Sampling;
using DiCacheNative.Tensors;
using DiCacheNative.Weights;

namespace DiCacheNative.Tests.Sampling;

public sealed class SamplerTests
{
    public static TheoryData<string> All => ["euler", "discrete", "unipc", "dpmpp"];

    [Fact]
    public void The_embedded_model_is_sampled_as_its_golden_run_was()
    {
        SchedulerConfig config = SchedulerConfig.Read(Repository.File("models", "shapes-flux", "scheduler", "scheduler_config.json"));
        using SafetensorsFile golden = SafetensorsFile.Open(Repository.File("tests", "golden", "shapes-flux", "0.safetensors"));
        HostTensor velocity = golden.Get("velocity"), after = golden.Get("latents_after_step");
        FlowMatchEuler sampler = FlowMatchEuler.Create(config, velocity.Shape[0], 64);
        AssertClose(golden.Get("sigmas").ToArray(), [.. sampler.Sigmas], 1.2e-7f);

        float[] x = golden.Get("noise_packed").ToArray();
        for (int i = 0; i < velocity.Shape[0]; i++)
        {
            sampler.Step(i, x, velocity.Rows(i, 1).ToArray());
            AssertClose(after.Rows(i, 1).ToArray(), x, 2e-6f);
        }
    }

    [Theory]
    [InlineData("euler", 1)]
    [InlineData("discrete", 1)]
    [InlineData("unipc", 3)] // the corrector adds one to the predictor's order
    [InlineData("dpmpp", 2)]
    public void Halving_the_step_divides_the_error_by_two_to_the_solvers_order(string kind, int order)
    {
        double coarse = ErrorOnAGaussian(Create(kind, 40)), fine = ErrorOnAGaussian(Create(kind, 80));
        Assert.InRange(Math.Log2(coarse / fine), order - 0.4, order + 0.6);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_second_generation_equals_the_first_and_allocates_nothing(string kind)
    {
        ISampler sampler = Create(kind, 12);
        float[] output = [.. Enumerable.Range(0, 1000).Select(i => MathF.Sin(i))];
        float[] first = new float[1000], second = new float[1000];
        Run(sampler, first, output);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run(sampler, second, output);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.True(first.AsSpan().SequenceEqual(second));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Steps_that_do_not_exist_or_do_not_fit_are_refused(string kind)
    {
        ISampler sampler = Create(kind, 4);
        Assert.Equal(5, sampler.Sigmas.Count);
        Assert.Equal(4, sampler.Timesteps.Count);
        Assert.Throws<ArgumentException>(() => sampler.Step(4, new float[2], new float[2]));
        Assert.Throws<ArgumentException>(() => sampler.Step(-1, new float[2], new float[2]));
        Assert.Throws<ArgumentException>(() => sampler.Step(0, new float[2], new float[3]));
    }

    [Theory]
    [InlineData("unipc")]
    [InlineData("dpmpp")]
    public void A_solver_with_memory_refuses_a_step_out_of_order_but_may_start_late(string kind)
    {
        ISampler sampler = Create(kind, 6);
        float[] x = [1, 2];
        sampler.Step(2, x, [0.5f, 0.5f]);
        Assert.All(x, v => Assert.True(float.IsFinite(v)));
        Assert.Throws<ArgumentException>(() => sampler.Step(4, new float[2], new float[2]));
        Assert.Throws<ArgumentException>(() => sampler.Step(3, new float[3], new float[3]));
        sampler.Step(3, x, [0.5f, 0.5f]);
    }

    [Fact]
    public void Own_levels_are_shifted_like_the_models_and_checked()
    {
        SchedulerConfig config = new() { UseDynamicShifting = true };
        Assert.Equal(FlowMatchEuler.Create(config, 4, 1024).Sigmas, FlowMatchEuler.Create(config, [1, 0.75, 0.5, 0.25], 1024).Sigmas);
        Assert.Equal([0.9f, 0.5f, 0], FlowMatchEuler.Create(config, [0.9, 0.5], 1024, shift: 1).Sigmas);
        Assert.Equal(FlowMatchEuler.Create(new SchedulerConfig { Shift = 3 }, 4, 1).Sigmas, FlowMatchEuler.Create(config, 4, 1024, shift: 3).Sigmas);
        foreach (double[] bad in new double[][] { [], [1.5], [0.5, 0.5], [0.5, 0.7], [0.5, 0], [double.NaN], [-1] })
        {
            Assert.Throws<ArgumentException>(() => FlowMatchEuler.Create(config, bad, 1024));
        }
    }

    [Fact]
    public void Impossible_schedules_are_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => FlowMatchEuler.Create(new SchedulerConfig(), 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => FlowMatchEuler.Create(new SchedulerConfig(), 1, 1, shift: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new FlowMatchDiscrete(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new UniPcFlow(4, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => new DpmPlusPlusFlow(4, -1));
    }

    private static ISampler Create(string kind, int steps) => kind switch
    {
        "euler" => FlowMatchEuler.Create(new SchedulerConfig { Shift = 2 }, steps, 1),
        "discrete" => new FlowMatchDiscrete(steps, 2),
        "unipc" => new UniPcFlow(steps, 2),
        _ => new DpmPlusPlusFlow(steps, 2),
    };

    private static void Run(ISampler sampler, Span<float> x, float[] output)
    {
        x.Fill(1);
        for (int i = 0; i < 12; i++)
        {
            sampler.Step(i, x, output);
        }
    }

    /// <summary>
    /// For data of variance c^2 the exact velocity is known, and x(s) grows as the standard deviation sqrt((1 - s)^2 c^2 + s^2). The error
    /// is taken before the last step, which no solver makes with more than first order.
    /// </summary>
    private static double ErrorOnAGaussian(ISampler sampler)
    {
        const double c2 = 0.09;
        static double Variance(double s) => ((1 - s) * (1 - s) * c2) + (s * s);
        int last = sampler.Timesteps.Count - 1;
        int stop = (3 * last) / 4;
        float[] x = [1];
        for (int i = 0; i < stop; i++)
        {
            double s = sampler.Sigmas[i];
            sampler.Step(i, x, [(float)(x[0] * (s - ((1 - s) * c2)) / Variance(s))]);
        }

        return Math.Abs(x[0] - Math.Sqrt(Variance(sampler.Sigmas[stop]) / Variance(sampler.Sigmas[0])));
    }

    private static void AssertClose(float[] expected, float[] actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance, $"element {i} is {actual[i]:R}, expected {expected[i]:R}");
        }
    }
}
