using DiCacheNative.Backends;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// The cost of deciding and blending in a skipped step, in the three forms, taken in turn in one run: unfused (as a tensor framework runs the
/// published code, whose delta_x is computed though unused), fused (reads p, p', x, r2; x, R1, R2; writes h), and epilogue (p is at hand in the
/// residual addition, h is made where its norm goes).
/// </summary>
internal static class ProbeBenchmark
{
    private const int Maps = 13;

    // A block of this many tokens gives the rate from which larger ones are estimated.
    private const int ReferenceTokens = 1536;
    private const int BlockRounds = 3;

    public static ProbeResult Run(IBackend backend, ProbePreset preset, DeviceLimits limits, Rounds rounds)
    {
        int tokens = preset.Tokens, width = preset.Width;
        rounds.Tell($"measuring a block of width {width}");
        double blockMs = BlockMilliseconds(backend, preset, rounds.Cancel);
        long map = (long)tokens * width * backend.ActivationType.Size();
        int copies = (int)Math.Clamp((limits.RotationBytes + (Maps * map) - 1) / (Maps * map), 1, 64);
        using Arena arena = backend.CreateArena((copies * Maps * (map + Arena.Alignment)) + (16L * ((width * 4) + Arena.Alignment)),
            $"{copies * Maps} feature maps of {preset.Name}");
        Tensor Vector(int cols) => arena.Allocate(DType.F32, 1, 1, cols);
        Tensor gate = Vector(width), shift = Vector(width), scale = Vector(width), sums = Vector(ProbeSums.Count), gamma = Vector(1);
        Tensor[][] sets = [.. Enumerable.Range(0, copies).Select(_ =>
            Enumerable.Range(0, Maps).Select(_ => arena.Allocate(backend.ActivationType, 1, tokens, width)).ToArray())];
        Fill(backend, sets[0].AsSpan(0, 10), [gate, shift, scale]);
        backend.Upload([1.25f], gamma);
        Forms forms = new(sets, gate, new Modulation(shift, scale), sums, gamma);
        forms.Prepare(backend);

        (string Name, Action<IBackend> Action)[] all = [("unfused", forms.Unfused), ("fused", forms.Fused), ("epilogue", forms.Epilogue)];
        bool equal = SameNumbers(backend, all, sums, forms);
        List<double>[] us = [[], [], []];
        rounds.Run(keep =>
        {
            limits.Measure();
            double unfused = BackendTimer.Microseconds(backend, forms.Unfused), fused = BackendTimer.Microseconds(backend, forms.Fused);
            double epilogue = BackendTimer.Microseconds(backend, forms.Epilogue), without = BackendTimer.Microseconds(backend, forms.Base);
            if (keep)
            {
                us[0].Add(unfused);
                us[1].Add(fused);
                us[2].Add(epilogue - without);
            }
        });

        long baseLaunches = Launches(backend, forms.Base), baseBytes = CountingBackend.Of(backend, forms.Base).Bytes;
        ProbeRow[] rows = [.. all.Select((f, i) =>
        {
            Distribution time = new(us[i]);
            bool rides = f.Name == "epilogue";
            long launches = Launches(backend, f.Action) - (rides ? baseLaunches : 0),
                bytes = CountingBackend.Of(backend, f.Action).Bytes - (rides ? baseBytes : 0);
            double? share = time.Median > 0 ? limits.Microseconds(bytes, 0) / time.Median : null;
            return new ProbeRow(f.Name, launches, bytes, time, share, time.Median / (blockMs * 1000), time.Median / (blockMs * 1000 * preset.Blocks));
        })];
        return new ProbeResult(rows, limits.Description, limits.BytesPerUs / 1000, map, blockMs, equal, rounds.Counted, rounds.Discarded);
    }

    /// <summary>The three forms and what is done anyway, each call on the next set of feature maps.</summary>
    private sealed class Forms(Tensor[][] sets, Tensor gate, Modulation modulation, Tensor sums, Tensor gamma)
    {
        private int _at;

        /// <summary>The normalised output of the last call.</summary>
        public Tensor Output => sets[_at][Normed];

        private const int P = 0, Previous = 1, X = 2, PreviousInput = 3, Newer1 = 4, Older1 = 5, Newer = 6, Older = 7, Stream = 8, Branch = 9, H = 10,
            Normed = 11, Q = 12;

        /// <summary>Copies the first set to the others, and makes p as the probe's last residual addition makes it, so that all forms see the same
        /// numbers.</summary>
        public void Prepare(IBackend on)
        {
            foreach (Tensor[] set in sets)
            {
                for (int i = 0; i < H && set != sets[0]; i++)
                {
                    on.Activate(sets[0][i], set[i]);
                }

                on.GatedResidual(set[Stream], set[Branch], gate, set[P]);
            }
        }

        public void Unfused(IBackend on)
        {
            Tensor[] t = Next();
            on.ProbeL1(new ProbeInputs(t[P], t[Previous], t[X], t[PreviousInput], t[Older1], t[Newer1]), sums, ProbeForm.Unfused);
            on.TrajectoryBlend(Blend(t), t[H], ProbeForm.Unfused);
        }

        public void Fused(IBackend on)
        {
            Tensor[] t = Next();
            on.ProbeL1(new ProbeInputs(t[P], t[Previous], t[X], default, t[Older1]), sums, ProbeForm.Fused);
            on.TrajectoryBlend(Blend(t), t[H], ProbeForm.Fused);
        }

        public void Epilogue(IBackend on)
        {
            Tensor[] t = Next();
            ProbeInputs riding = new(default, t[Previous], t[X], default, t[Older1]);
            on.GatedResidual(t[Stream], t[Branch], gate, t[Q], new ResidualExtras(Probe: riding, ProbeSums: sums));
            on.TrajectoryBlend(Blend(t), default, ProbeForm.Epilogue, new NextNorm(modulation, t[Normed]));
        }

        /// <summary>What probe block and head do anyway: the epilogue form costs what it takes beyond this.</summary>
        public void Base(IBackend on)
        {
            Tensor[] t = Next();
            on.GatedResidual(t[Stream], t[Branch], gate, t[Q]);
            Head(on);
        }

        /// <summary>The norm of what was blended last.</summary>
        public void Head(IBackend on) => on.LayerNormModulate(sets[_at][H], modulation, sets[_at][Normed]);

        private BlendInputs Blend(Tensor[] t) => new(t[X], t[Newer], t[Older], gamma);

        private Tensor[] Next()
        {
            _at = (_at + 1) % sets.Length;
            return sets[_at];
        }
    }

    // The head's norm of the blended map shows the blend in all three forms; only unfused also measures delta_x and the denominator again.
    private static bool SameNumbers(IBackend backend, (string Name, Action<IBackend> Action)[] all, in Tensor sums, Forms forms)
    {
        float[]? firstSums = null, firstNorm = null;
        foreach ((string name, Action<IBackend> action) in all)
        {
            action(backend);
            float[] values = new float[ProbeSums.Count], output = new float[forms.Output.Count];
            backend.Download(sums, values);
            if (name != "epilogue")
            {
                forms.Head(backend);
            }

            backend.Download(forms.Output, output);
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

    private static long Launches(IBackend backend, Action<IBackend> action)
    {
        long before = backend.Launches;
        action(backend);
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

    private static double BlockMilliseconds(IBackend backend, ProbePreset preset, CancellationToken cancel)
    {
        Models.Flux.FluxConfig config = Models.Flux.FluxConfig.Dev with
        {
            Heads = preset.Heads,
            HeadDim = preset.Width / preset.Heads,
            DoubleBlocks = 1,
            SingleBlocks = 0,
            JointDim = 64,
            PooledDim = 64,
            GuidanceEmbeds = false,
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
        Tensor x = arena.Allocate(program.FeatureType, 1, program.Tokens, program.Width),
            p = arena.Allocate(program.FeatureType, 1, program.Tokens, program.Width);
        backend.Upload(new float[program.Input.Count], program.Input);
        program.Embed(x);
        double[] ms = [.. Enumerable.Range(0, BlockRounds + 1).Select(_ =>
            BackendTimer.Microseconds(backend, _ => program.Probe(1, x, p, default)) / 1000).Skip(1)];
        return preset.BlockFlops / (program.Flops(1).Probe / new Distribution(ms).Median);
    }
}
