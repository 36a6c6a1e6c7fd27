using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Bench;

/// <summary>A backend whose operations do nothing but linear layers: a step on it takes the time of its matrix products alone.</summary>
internal sealed class GemmOnlyBackend(IBackend inner) : IBackend
{
    public string Name => inner.Name;

    public string Description => inner.Description;

    public DType ActivationType => inner.ActivationType;

    public long Launches => inner.Launches;

    public Arena CreateArena(long bytes, string purpose) => inner.CreateArena(bytes, purpose);

    public LinearWeight CreateLinear(in LinearSource source) => inner.CreateLinear(source);

    public void Upload(ReadOnlySpan<float> source, in Tensor destination) => inner.Upload(source, destination);

    public void Download(in Tensor source, Span<float> destination) => inner.Download(source, destination);

    public void Synchronize() => inner.Synchronize();

    public IStepPlan Record(string name, Action operations) => inner.Record(name, operations);

    // The bias stays, for no engine computes without it; the activation is not the product's.
    public void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None) => inner.Linear(x, weight, y);

    public void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f)
    {
    }

    public void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
    }

    public void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale)
    {
    }

    public void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default)
    {
    }

    public void Subtract(in Tensor a, in Tensor b, in Tensor into)
    {
    }

    public void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None)
    {
    }

    public void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f)
    {
    }

    public void Patchify(in Tensor latents, in PatchGeometry geometry, in Tensor tokens)
    {
    }

    public void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents)
    {
    }

    public void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt)
    {
    }

    public void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
    }

    public void MeanRows(in Tensor x, in Tensor y)
    {
    }

    public void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused)
    {
    }

    public void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default)
    {
    }

    // The inner backend is the caller's.
    public void Dispose()
    {
    }
}
