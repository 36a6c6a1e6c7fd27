using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>
/// A backend that passes everything on and counts what passes: operations by name, the bytes of their operands (each read once and written
/// once, whatever the machine does), their matrix operations, and the plans recorded. So no figure of a report is a constant that somebody typed.
/// </summary>
internal sealed class CountingBackend(IBackend inner) : IBackend
{
    private readonly Dictionary<string, int> _calls = [];

    /// <summary>Operations so far, by name.</summary>
    public IReadOnlyDictionary<string, int> Calls => _calls;

    /// <summary>Bytes of operands so far.</summary>
    public long Bytes { get; private set; }

    /// <summary>Floating-point operations of products and attention so far, 2 per multiply-add.</summary>
    public double Flops { get; private set; }

    /// <summary>Plans recorded so far.</summary>
    public int Plans { get; private set; }

    public string Name => inner.Name;

    public string Description => inner.Description;

    public DType ActivationType => inner.ActivationType;

    public long Launches => inner.Launches;

    /// <summary>What an action moves and computes.</summary>
    public static (long Bytes, double Flops) Of(IBackend backend, Action<IBackend> action)
    {
        CountingBackend counting = new(backend);
        action(counting);
        backend.Synchronize();
        return (counting.Bytes, counting.Flops);
    }

    public Arena CreateArena(long bytes, string purpose) => inner.CreateArena(bytes, purpose);

    public LinearWeight CreateLinear(in LinearSource source) => inner.CreateLinear(source);

    public void Upload(ReadOnlySpan<float> source, in Tensor destination) => inner.Upload(source, destination);

    public void Download(in Tensor source, Span<float> destination) => inner.Download(source, destination);

    public void Synchronize() => inner.Synchronize();

    public IStepPlan Record(string name, Action operations)
    {
        Plans++;
        return inner.Record(name, operations);
    }

    public void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None)
    {
        Count(nameof(Linear), [x], [y]);
        Bytes += weight.Bytes;
        Flops += 2.0 * x.Batch * x.Rows * weight.InFeatures * weight.OutFeatures;
        inner.Linear(x, weight, y, epilogue);
    }

    public void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f)
    {
        Count(nameof(LayerNormModulate), [x, modulation.Shift, modulation.Scale], [y]);
        inner.LayerNormModulate(x, modulation, y, epsilon);
    }

    public void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
        Count(nameof(QkNormRope), [q, k, norm.Query, norm.Key, rope.Cos, rope.Sin], [q, k]);
        inner.QkNormRope(q, k, norm, rope, heads);
    }

    public void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale)
    {
        Count(nameof(Attention), [q, k, v], [o]);
        Flops += 4.0 * q.Batch * q.Rows * k.Rows * q.Cols;
        inner.Attention(q, k, v, o, heads, scale);
    }

    public void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default)
    {
        ProbeInputs p = extras.Probe;
        Modulation m = extras.Norm.Modulation;
        Count(
            nameof(GatedResidual),
            [x, y, gate, m.Shift, m.Scale, p.PreviousProbe, p.Input, p.PreviousInput, p.OlderProbeResidual, p.NewerProbeResidual, extras.ResidualOrigin],
            [into, extras.Norm.Output, extras.Residual, extras.ProbeSums]);
        inner.GatedResidual(x, y, gate, into, extras);
    }

    public void Subtract(in Tensor a, in Tensor b, in Tensor into)
    {
        Count(nameof(Subtract), [a, b], [into]);
        inner.Subtract(a, b, into);
    }

    public void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None)
    {
        Count(nameof(Activate), [x], [y]);
        inner.Activate(x, y, activation);
    }

    public void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f)
    {
        Count(nameof(TimestepEmbed), [values], [y]);
        inner.TimestepEmbed(values, y, maxPeriod);
    }

    public void Patchify(in Tensor latents, in PatchGeometry geometry, in Tensor tokens)
    {
        Count(nameof(Patchify), [latents], [tokens]);
        inner.Patchify(latents, geometry, tokens);
    }

    public void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents)
    {
        Count(nameof(Unpatchify), [tokens], [latents]);
        inner.Unpatchify(tokens, geometry, latents);
    }

    public void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt)
    {
        Count(nameof(EulerStep), [x, velocity, dt], [x]);
        inner.EulerStep(x, velocity, dt);
    }

    public void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
        Count(nameof(Guide), [cond, uncond, scale], [into]);
        inner.Guide(cond, uncond, scale, into);
    }

    public void MeanRows(in Tensor x, in Tensor y)
    {
        Count(nameof(MeanRows), [x], [y]);
        inner.MeanRows(x, y);
    }

    public void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused)
    {
        ProbeInputs p = inputs;
        Count(nameof(ProbeL1), [p.Probe, p.PreviousProbe, p.Input, p.PreviousInput, p.OlderProbeResidual, p.NewerProbeResidual], [sums]);
        inner.ProbeL1(inputs, sums, form);
    }

    public void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default)
    {
        BlendInputs b = inputs;
        Count(nameof(TrajectoryBlend), [b.Input, b.NewerResidual, b.OlderResidual, b.Gamma, norm.Modulation.Shift, norm.Modulation.Scale], [into, norm.Output]);
        inner.TrajectoryBlend(inputs, into, form, norm);
    }

    // The inner backend is the caller's.
    public void Dispose()
    {
    }

    private void Count(string operation, Tensor[] reads, Tensor[] writes)
    {
        _calls[operation] = _calls.GetValueOrDefault(operation) + 1;
        Bytes += reads.Distinct().Concat(writes).Where(t => !t.IsEmpty).Sum(t => t.Count * t.Type.Size());
    }
}
