using DiCacheNative.Backends;
using DiCacheNative.Sampling;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>One operation at a model's shape.</summary>
/// <param name="Kernel">Operation, named as in kernels/.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="MedianUs">Microseconds, median.</param>
/// <param name="GflopsPerS">Operations over time; 0 for those that move data.</param>
/// <param name="GbPerS">Bytes that must move over time.</param>
/// <param name="ShareOfLimit">Of the copy bandwidth, or for attention of the matrix-product rate, of the same run.</param>
internal sealed record KernelRow(string Kernel, string Shape, double MedianUs, double GflopsPerS, double GbPerS, double ShareOfLimit);

/// <summary>Times every operation of a joint-attention block at a preset's shape, in turn in one run.</summary>
internal static class KernelBenchmark
{
    public static IReadOnlyList<KernelRow> Run(IBackend backend, ProbePreset preset, int rounds, CancellationToken cancel)
    {
        int length = preset.Tokens + preset.ContextTokens, d = preset.Width, f = 4 * d, head = d / preset.Heads;
        int size = backend.ActivationType.Size();
        long map = (long)length * d * size;
        using Arena arena = backend.CreateArena((10 * map) + ((long)length * f * size) + ((long)length * head * 4) + (64L * ((f * 4) + Arena.Alignment)), $"the tensors of {preset.Name}");
        Tensor Map(int cols) => arena.Allocate(backend.ActivationType, 1, length, cols);
        Tensor x = Map(d), y = Map(d), h = Map(d), qkv = Map(3 * d), up = Map(f), other = Map(d), third = Map(d), fourth = Map(d);
        Tensor Vector(int cols) => arena.Allocate(DType.F32, 1, 1, cols);
        Tensor gate = Vector(d), shift = Vector(d), scale = Vector(d), qScale = Vector(head), kScale = Vector(head), sums = Vector(ProbeSums.Count), gamma = Vector(1);
        RopeTable rope = new(arena.Allocate(DType.F32, 1, length, head / 2), arena.Allocate(DType.F32, 1, length, head / 2));
        foreach (Tensor tensor in new[] { x, y, qkv, other, third, fourth, gate, shift, scale, qScale, kScale, rope.Cos, rope.Sin })
        {
            float[] values = new float[tensor.Count];
            INoiseSource.Create(RngKind.Torch, 1).Fill(values);
            backend.Upload(values, tensor);
        }

        backend.Upload([1.25f], gamma);
        using Models.RandomTensors random = new(1);
        using LinearWeight square = backend.CreateLinear(new LinearSource("square", [random.Take("square.weight", [d, d])], []));
        using LinearWeight wide = backend.CreateLinear(new LinearSource("up", [random.Take("up.weight", [f, d])], []));
        Modulation m = new(shift, scale);
        double product = 2.0 * length * d * d, attention = 4.0 * length * length * d;
        Tensor q = qkv.SliceCols(0, d), k = qkv.SliceCols(d, d), v = qkv.SliceCols(2 * d, d);
        (string Kernel, string Shape, Action Action, double Flops, double Maps)[] kernels =
        [
            ("activate", $"copy {length}x{d}", () => backend.Activate(x, h), 0, 2),
            ("linear", $"{length}x{d}x{d}", () => backend.Linear(x, square, h), product, 0),
            ("linear+gelu", $"{length}x{f}x{d}", () => backend.Linear(x, wide, up, Epilogue.GeluTanh), product * 4, 0),
            ("attention", $"{length}x{length}, {preset.Heads} heads of {head}", () => backend.Attention(q, k, v, h, preset.Heads, 1 / MathF.Sqrt(head)), attention, 0),
            ("layer_norm_modulate", $"{length}x{d}", () => backend.LayerNormModulate(x, m, h), 0, 2),
            ("qk_norm_rope", $"2 x {length}x{d}", () => backend.QkNormRope(q, k, new QkNorm(qScale, kScale), rope, preset.Heads), 0, 4),
            ("gated_residual", $"{length}x{d}", () => backend.GatedResidual(x, y, gate, h), 0, 3),
            ("gated_residual+norm", $"{length}x{d}", () => backend.GatedResidual(x, y, gate, h, new ResidualExtras(new NextNorm(m, other))), 0, 4),
            ("subtract", $"{length}x{d}", () => backend.Subtract(x, y, h), 0, 3),
            ("probe_l1", $"{length}x{d}", () => backend.ProbeL1(new ProbeInputs(x, y, third, default, fourth), sums), 0, 4),
            ("trajectory_blend", $"{length}x{d}", () => backend.TrajectoryBlend(new BlendInputs(x, y, third, gamma), h), 0, 4),
            ("trajectory_blend+norm", $"{length}x{d}", () => backend.TrajectoryBlend(new BlendInputs(x, y, third, gamma), default, ProbeForm.Epilogue, new NextNorm(m, h)), 0, 4),
        ];
        List<double>[] us = [.. kernels.Select(_ => new List<double>())];
        for (int round = 0; round <= rounds; round++)
        {
            for (int i = 0; i < kernels.Length; i++)
            {
                cancel.ThrowIfCancellationRequested();
                double time = BackendTimer.Microseconds(backend, kernels[i].Action);
                if (round > 0)
                {
                    us[i].Add(time);
                }
            }
        }

        double[] median = [.. us.Select(Statistics.Median)];
        double bandwidth = kernels[0].Maps * map / median[0], rate = Math.Max(kernels[1].Flops / median[1], kernels[2].Flops / median[2]);
        return [.. kernels.Select((item, i) => new KernelRow(
            item.Kernel, item.Shape, median[i], item.Flops / median[i] / 1000, item.Maps * map / median[i] / 1000,
            item.Flops > 0 ? item.Flops / median[i] / rate : item.Maps * map / median[i] / bandwidth))];
    }
}
