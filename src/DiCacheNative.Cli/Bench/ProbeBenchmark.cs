using DiCacheNative.Backends;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// The cost of deciding and blending in a skipped step, in the three forms, taken in turn in one run. In feature maps moved: unfused 48
/// (as a tensor framework runs the published code, whose delta_x is computed though unused), fused 8 (reads p, p', x, r2; x, R1, R2; writes
/// h), epilogue 5 (p is at hand in the residual addition, h is made where its norm goes).
/// </summary>
internal static class ProbeBenchmark
{
    private const int UnfusedMaps = 48;
    private const int FusedMaps = 8;
    private const int EpilogueMaps = 5;
    private const int Maps = 12;

    // A block of this many tokens gives the rate from which larger ones are estimated.
    private const int ReferenceTokens = 1536;

    public static ProbeResult Run(IBackend backend, ProbePreset preset, int rounds, CancellationToken cancel)
    {
        int tokens = preset.Tokens, width = preset.Width;
        double blockMs = BlockMilliseconds(backend, preset, rounds, cancel);
        long map = (long)tokens * width * backend.ActivationType.Size();
        using Arena arena = backend.CreateArena((Maps * (map + Arena.Alignment)) + (16L * ((width * 4) + Arena.Alignment)), $"{Maps} feature maps of {preset.Name}");
        Tensor[] t = [.. Enumerable.Range(0, Maps).Select(_ => arena.Allocate(backend.ActivationType, 1, tokens, width))];
        Tensor Vector(int cols) => arena.Allocate(DType.F32, 1, 1, cols);
        Tensor gate = Vector(width), shift = Vector(width), scale = Vector(width), sums = Vector(ProbeSums.Count), gamma = Vector(1);
        Fill(backend, t.AsSpan(0, 9), [gate, shift, scale]);
        backend.Upload([1.25f], gamma);
        (Tensor p, Tensor previous, Tensor x, Tensor previousInput, Tensor r1, Tensor r2, Tensor newer, Tensor older, Tensor y, Tensor h, Tensor n, Tensor q) =
            (t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11]);

        // p as the probe's last residual addition makes it, so that all forms see the same numbers.
        backend.GatedResidual(x, y, gate, p);
        ProbeInputs all = new(p, previous, x, previousInput, r2, r1), steady = new(p, previous, x, default, r2), riding = steady with { Probe = default };
        BlendInputs blend = new(x, newer, older, gamma);
        NextNorm norm = new(new Modulation(shift, scale), n);
        void Unfused()
        {
            backend.ProbeL1(all, sums, ProbeForm.Unfused);
            backend.TrajectoryBlend(blend, h, ProbeForm.Unfused);
        }

        void Fused()
        {
            backend.ProbeL1(steady, sums, ProbeForm.Fused);
            backend.TrajectoryBlend(blend, h, ProbeForm.Fused);
        }

        void Epilogue()
        {
            backend.GatedResidual(x, y, gate, q, new ResidualExtras(Probe: riding, ProbeSums: sums));
            backend.TrajectoryBlend(blend, default, ProbeForm.Epilogue, norm);
        }

        // What probe block and head do anyway: the epilogue form costs what it takes beyond this.
        void Base()
        {
            backend.GatedResidual(x, y, gate, q);
            backend.LayerNormModulate(h, norm.Modulation, n);
        }

        (string Form, Action Action, int Maps)[] forms = [("unfused", Unfused, UnfusedMaps), ("fused", Fused, FusedMaps), ("epilogue", Epilogue, EpilogueMaps)];
        bool equal = SameNumbers(backend, forms, Base, sums, n);
        List<double>[] us = [[], [], []];
        List<double> copies = [];
        for (int round = 0; round <= rounds; round++)
        {
            cancel.ThrowIfCancellationRequested();
            double copy = BackendTimer.Microseconds(backend, () => backend.Activate(x, h));
            double unfused = BackendTimer.Microseconds(backend, Unfused), fused = BackendTimer.Microseconds(backend, Fused);
            double epilogue = BackendTimer.Microseconds(backend, Epilogue), without = BackendTimer.Microseconds(backend, Base);
            if (round > 0)
            {
                copies.Add(copy);
                us[0].Add(unfused);
                us[1].Add(fused);
                us[2].Add(Math.Max(0, epilogue - without));
            }
        }

        double bytesPerUs = 2 * map / Statistics.Median(copies);
        long baseLaunches = Launches(backend, Base);
        ProbeRow[] rows = [.. forms.Select((f, i) =>
        {
            double median = Statistics.Median(us[i]);
            long launches = Launches(backend, f.Action) - (f.Form == "epilogue" ? baseLaunches : 0);
            return new ProbeRow(
                f.Form, launches, f.Maps * map, median, f.Maps * map / bytesPerUs / median, median / (blockMs * 1000), median / (blockMs * 1000 * preset.Blocks));
        })];
        return new ProbeResult(rows, bytesPerUs / 1000, blockMs, equal, rounds);
    }

    // The head's norm of the blended map shows the blend in all three forms; only unfused also measures delta_x and the denominator again.
    private static bool SameNumbers(IBackend backend, (string Form, Action Action, int Maps)[] forms, Action head, in Tensor sums, in Tensor norm)
    {
        float[]? firstSums = null, firstNorm = null;
        foreach ((string form, Action action, _) in forms)
        {
            action();
            float[] values = new float[ProbeSums.Count], output = new float[norm.Count];
            backend.Download(sums, values);
            if (form != "epilogue")
            {
                head();
            }

            backend.Download(norm, output);
            float[] wanted = [values[0], values[1], values[4]];
            if (firstSums is null || firstNorm is null)
            {
                (firstSums, firstNorm) = (wanted, output);
            }
            else if (!wanted.AsSpan().SequenceEqual(firstSums) || !output.AsSpan().SequenceEqual(firstNorm))
            {
                return false;
            }
        }

        return true;
    }

    private static long Launches(IBackend backend, Action action)
    {
        long before = backend.Launches;
        action();
        return backend.Launches - before;
    }

    private static void Fill(IBackend backend, ReadOnlySpan<Tensor> maps, ReadOnlySpan<Tensor> vectors)
    {
        float[] values = new float[maps[0].Count];
        for (int i = 0; i < maps.Length; i++)
        {
            if (i < 2)
            {
                INoiseSource.Create(RngKind.Torch, (ulong)i).Fill(values);
            }
            else
            {
                // Other numbers at every place, without drawing hundreds of millions of them again.
                values.AsSpan(1).CopyTo(values);
            }

            backend.Upload(values, maps[i]);
        }

        foreach (Tensor vector in vectors)
        {
            backend.Upload(values.AsSpan(0, vector.Cols), vector);
        }
    }

    private static double BlockMilliseconds(IBackend backend, ProbePreset preset, int rounds, CancellationToken cancel)
    {
        Models.Flux.FluxConfig config = Models.Flux.FluxConfig.Dev with
        {
            Heads = preset.Heads, HeadDim = preset.Width / preset.Heads, DoubleBlocks = 1, SingleBlocks = 0, JointDim = 64, PooledDim = 64, GuidanceEmbeds = false,
            RopeAxes = Models.Flux.FluxConfig.InferRopeAxes(preset.Width / preset.Heads),
        };
        int text = Math.Min(ReferenceTokens, preset.Tokens + preset.ContextTokens) / 4, side = (int)Math.Sqrt(3 * text);
        using Models.Flux.FluxModel model = Models.Flux.FluxModel.Random(backend, config);
        using Models.Flux.FluxProgram program = model.CreateProgram(new Models.Flux.FluxShape(1, side, side, text));
        program.Cancellation = cancel;
        program.SetConditions(0, new float[text * 64], new float[64], []);
        program.SetTimesteps([500f]);
        program.Select(0, 0);
        using Arena arena = backend.CreateArena(2 * ((program.Tokens * (long)program.Width * 4) + Arena.Alignment), "a block");
        Tensor x = arena.Allocate(program.FeatureType, 1, program.Tokens, program.Width), p = arena.Allocate(program.FeatureType, 1, program.Tokens, program.Width);
        backend.Upload(new float[program.Input.Count], program.Input);
        program.Embed(x);
        double[] ms = [.. Enumerable.Range(0, Math.Min(rounds, 5) + 1).Select(_ => BackendTimer.Microseconds(backend, () => program.Probe(1, x, p, default)) / 1000).Skip(1)];
        return preset.BlockFlops / (program.Flops(1).Probe / Statistics.Median(ms));
    }
}
