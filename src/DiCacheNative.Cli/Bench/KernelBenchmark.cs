using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>One operation at a model's shape.</summary>
/// <param name="Kernel">Operation, named as in kernels/.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Us">Microseconds.</param>
/// <param name="Flops">Operations of products and attention; 0 for those that move data.</param>
/// <param name="Bytes">Bytes of the operands that the backend got, each read and written once.</param>
/// <param name="ShareOfLimit">The least time for these on this machine over the median; null for the operation that sets the limit.</param>
internal sealed record KernelRow(string Kernel, string Shape, Distribution Us, double Flops, long Bytes, double? ShareOfLimit)
{
    /// <summary>More than can be is noise of the machine.</summary>
    public bool IsNoise => ShareOfLimit > Shares.Most;
}

/// <summary>Result of <see cref="KernelBenchmark"/>.</summary>
/// <param name="Rows">One for each operation.</param>
/// <param name="Limits">What the limits are.</param>
/// <param name="Operations">Operations of the backend that were timed.</param>
/// <param name="Rounds">Counted rounds.</param>
/// <param name="Discarded">Rounds before them.</param>
internal sealed record KernelResult(IReadOnlyList<KernelRow> Rows, string Limits, IReadOnlyCollection<string> Operations, int Rounds, int Discarded);

/// <summary>Times every operation of the seam at a preset's shape, in turn in one run.</summary>
internal static class KernelBenchmark
{
    // Attention of a long video would take minutes on a CPU: it gets a part of the queries, which costs in proportion.
    private const double MostAttentionFlops = 5e10;
    private const double MostEmulatedFlops = 1e8;
    private const int LatentChannels = 16;
    private const int EmbeddedSteps = 30;

    public static KernelResult Run(IBackend backend, ProbePreset preset, DeviceLimits limits, Rounds rounds)
    {
        int tokens = preset.Tokens, joint = tokens + preset.ContextTokens, d = preset.Width, f = 4 * d, head = d / preset.Heads;
        long rotation = limits.RotationBytes;
        using Ring maps = new(backend, backend.ActivationType, 1, joint, d, rotation, 4),
            results = new(backend, backend.ActivationType, 1, joint, d, rotation, 2);
        using Ring wide = new(backend, backend.ActivationType, 1, joint, Math.Max(f, 3 * d), 0, 1);
        int width = LatentChannels * 4, across = Enumerable.Range(1, (int)Math.Sqrt(tokens)).Last(i => tokens % i == 0);
        PatchGeometry geometry = new(LatentChannels, 1, 2 * across, 2 * (tokens / across), 1, 2, 2, true);
        using Ring latents = new(backend, backend.ActivationType, 1, 1, tokens * width, rotation, 3),
            states = new(backend, DType.F32, 1, tokens, width, rotation, 2);

        using Arena arena = backend.CreateArena(
            (2L * joint * head * sizeof(float)) + (16L * ((f * sizeof(float)) + Arena.Alignment)) + (2L * EmbeddedSteps * 256 * sizeof(float))
                + (4 * Arena.Alignment), $"the vectors of {preset.Name}");
        Tensor Vector(int cols)
        {
            Tensor vector = arena.Allocate(DType.F32, 1, 1, cols);
            backend.Upload(PresetModel.Noise(cols), vector);
            return vector;
        }

        Tensor gate = Vector(d), sums = Vector(ProbeSums.Count), gamma = Vector(1), dt = Vector(1);
        Modulation m = new(Vector(d), Vector(d));
        QkNorm norm = new(Vector(head), Vector(head));
        RopeTable rope = new(arena.Allocate(DType.F32, 1, joint, head / 2), arena.Allocate(DType.F32, 1, joint, head / 2));
        backend.Upload(PresetModel.Noise(rope.Cos.Count), rope.Cos);
        backend.Upload(PresetModel.Noise(rope.Sin.Count), rope.Sin);
        Tensor times = arena.Allocate(DType.F32, EmbeddedSteps, 1, 1), embedded = arena.Allocate(backend.ActivationType, EmbeddedSteps, 1, 256);
        Tensor mean = arena.Allocate(backend.ActivationType, 1, 1, d);
        using RandomTensors random = new(1);
        using LinearWeight square = backend.CreateLinear(new LinearSource("square", [random.Take("square.weight", [d, d])], []));
        using LinearWeight up = backend.CreateLinear(new LinearSource("up", [random.Take("up.weight", [f, d])], []));

        // The cache works on image tokens alone; a joint model's blocks on text and image.
        Tensor Map() => maps.Next();
        Tensor Into() => results.Next();
        Tensor Image() => maps.Next().SliceRows(0, tokens);
        Tensor ImageInto() => results.Next().SliceRows(0, tokens);
        Tensor Latent() => latents.Next();
        Tensor Tokens() => latents.Next().Reshape(1, tokens, width);
        int queries = Queries(backend, joint, d);
        string all = $"{joint}x{d}", image = $"{tokens}x{d}", small = $"{tokens}x{width}";
        (string Kernel, string Shape, Action<IBackend> Action)[] kernels =
        [
            ("linear", $"{joint}x{d}x{d}", b => b.Linear(Map(), square, Into())),
            ("linear+gelu", $"{joint}x{f}x{d}", b => b.Linear(Map(), up, wide.Next().SliceCols(0, f), Epilogue.GeluTanh)),
            ("attention", $"{queries}x{joint}, {preset.Heads} heads of {head}", b =>
            {
                Tensor qkv = wide.Next();
                b.Attention(qkv.SliceCols(0, d).SliceRows(0, queries), qkv.SliceCols(d, d), qkv.SliceCols(2 * d, d), Into().SliceRows(0, queries),
                    preset.Heads, 1 / MathF.Sqrt(head));
            }),
            ("layer_norm_modulate", all, b => b.LayerNormModulate(Map(), m, Into())),
            ("qk_norm_rope", "2 x " + all, b => b.QkNormRope(Into(), Into(), norm, rope, preset.Heads)),
            ("gated_residual", all, b => b.GatedResidual(Map(), Map(), gate, Into())),
            ("gated_residual+norm", all, b => b.GatedResidual(Map(), Map(), gate, Into(), new ResidualExtras(new NextNorm(m, Into())))),
            ("activate", "copy of " + all, b => b.Activate(Map(), Into())),
            ("activate+silu", all, b => b.Activate(Map(), Into(), Epilogue.Silu)),
            ("mean_rows", all, b => b.MeanRows(Map(), mean)),
            ("timestep_embed", $"{EmbeddedSteps}x256", b => b.TimestepEmbed(times, embedded)),
            ("patchify", small, b => b.Patchify(Latent(), geometry, Tokens())),
            ("unpatchify", small, b => b.Unpatchify(Tokens(), geometry, Latent())),
            ("guide", small, b => b.Guide(Tokens(), Tokens(), dt, Tokens())),
            ("euler_step", small, b => b.EulerStep(states.Next(), Tokens(), dt)),
            ("subtract", image, b => b.Subtract(Image(), Image(), ImageInto())),
            ("probe_l1", image, b => b.ProbeL1(new ProbeInputs(Image(), Image(), Image(), default, Image()), sums)),
            ("trajectory_blend", image, b => b.TrajectoryBlend(new BlendInputs(Image(), Image(), Image(), gamma), ImageInto())),
            ("trajectory_blend+norm", image, b => b.TrajectoryBlend(new BlendInputs(Image(), Image(), Image(), gamma), default, ProbeForm.Epilogue,
                new NextNorm(m, ImageInto()))),
        ];
        CountingBackend counting = new(backend);
        (long Bytes, double Flops)[] work = [.. kernels.Select(k =>
        {
            rounds.Cancel.ThrowIfCancellationRequested();
            (long bytes, double flops) = (counting.Bytes, counting.Flops);
            k.Action(counting);
            return (counting.Bytes - bytes, counting.Flops - flops);
        })];
        List<double>[] us = [.. kernels.Select(_ => new List<double>())];
        rounds.Run(keep =>
        {
            limits.Measure();
            for (int i = 0; i < kernels.Length; i++)
            {
                rounds.Cancel.ThrowIfCancellationRequested();
                double time = BackendTimer.Microseconds(backend, kernels[i].Action);
                if (keep)
                {
                    us[i].Add(time);
                }
            }
        });
        return new KernelResult(
            [.. kernels.Select((k, i) =>
            {
                Distribution time = new(us[i]);
                double? share = k.Kernel == "activate" && limits.CopyIsAnOperation ? null : limits.Microseconds(work[i].Bytes, work[i].Flops) / time.Median;
                return new KernelRow(k.Kernel, k.Shape, time, work[i].Flops, work[i].Bytes, share);
            })],
            limits.Description, [.. counting.Calls.Keys], rounds.Counted, rounds.Discarded);
    }

    private static int Queries(IBackend backend, int joint, int width)
    {
        double flops = 4.0 * joint * width,
            most = backend.Name switch { "cuda" => double.PositiveInfinity, "cpu" => MostAttentionFlops, _ => MostEmulatedFlops };
        return (int)Math.Clamp(most / flops, Math.Min(64, joint), joint);
    }
}
