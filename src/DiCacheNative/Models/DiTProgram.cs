using DiCacheNative.Backends;
using DiCacheNative.Lifetimes;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>
/// A model laid out for one shape: its activations, and the four segments that every diffusion transformer has,
/// Embed (latents, time step, text -> x0), Probe (blocks [0, m): x0 -> p), Body (blocks [m, M): p -> y) and Head (y -> velocity).
/// Caching is said in these terms alone (see <see cref="DiTSession"/>), so a model knows nothing of it. Feature maps that outlive a
/// segment (x0, p, residuals) are passed in by the caller.
/// </summary>
/// <remarks>
/// A program holds conditions (text, guidance) for several slots, one for each guidance branch, or for each branch and sample when samples
/// decide for themselves. One thread at a time may be inside, not always the same; a second one gets an
/// <see cref="InvalidOperationException"/>. Creating it, setting conditions and time steps wait for what they issue. Segments and
/// <see cref="Select"/> do not: call <see cref="IBackend.Synchronize"/> before another thread goes on.
/// It belongs to who created it, and must not outlive its model, whose weights it uses: once either is disposed, its methods throw an
/// <see cref="ObjectDisposedException"/> that names the one.
/// </remarks>
public abstract class DiTProgram : IDisposable
{
    private readonly Lifetime _lifetime;
    private readonly HashSet<int> _conditioned = [];
    private int _steps;

    /// <summary>Describes a program.</summary>
    /// <param name="backend">Where it runs.</param>
    /// <param name="batch">Samples per call, B.</param>
    /// <param name="tokens">Latent tokens per sample, T (text tokens not counted).</param>
    /// <param name="width">Model width, D.</param>
    /// <param name="probeBlocks">Blocks that a probe may run at most.</param>
    /// <param name="featureType">Element type of x0, p and residuals.</param>
    protected DiTProgram(IBackend backend, int batch, int tokens, int width, int probeBlocks, DType featureType)
    {
        (Backend, Batch, Tokens, Width, ProbeBlocks, FeatureType) = (backend, batch, tokens, width, probeBlocks, featureType);
        _lifetime = new Lifetime(GetType().Name, () => Dispose(true), exclusive: true);
    }

    /// <summary>Where it runs.</summary>
    public IBackend Backend { get; }

    /// <summary>Samples per call, B.</summary>
    public int Batch { get; }

    /// <summary>Latent tokens per sample, T.</summary>
    public int Tokens { get; }

    /// <summary>Model width, D.</summary>
    public int Width { get; }

    /// <summary>Blocks that a probe may run at most.</summary>
    public int ProbeBlocks { get; }

    /// <summary>Element type of x0, p and residuals.</summary>
    public DType FeatureType { get; }

    /// <summary>Shape of x0, p and residuals.</summary>
    public FeatureShape Features => new(FeatureType, Batch, Tokens, Width);

    /// <summary>
    /// Grows when segments that were recorded before no longer hold, because conditions changed the operations and not only their values
    /// (text of another length).
    /// </summary>
    public int PlanVersion { get; protected set; }

    /// <summary>Latents of the call, F32 [B, rows, columns] as the sampler holds them; uploaded before <see cref="Embed"/>.</summary>
    public abstract Tensor Input { get; }

    /// <summary>Predicted velocity, F32, of the shape of <see cref="Input"/>; valid after a head.</summary>
    public abstract Tensor Velocity { get; }

    /// <summary>Bytes of activations.</summary>
    public abstract long ActivationBytes { get; }

    /// <summary>
    /// Called with the name and value of intermediate tensors while segments run, for comparison with reference values. Only use it when
    /// segments are called directly: a recorded plan does not call it.
    /// </summary>
    public Action<string, Tensor>? Observer { get; set; }

    /// <summary>
    /// Ends a call: on the CPU before the next task of the operation under way, on a GPU before the next segment. What the call was writing
    /// is then left half done, so a session must be begun anew.
    /// </summary>
    public CancellationToken Cancellation { get; set; }

    /// <summary>Number of slots whose conditions must be set before the time steps; 0 for a program without conditions.</summary>
    protected int Slots { get; init; }

    /// <summary>The weights it uses, which are not its own; null for a program without any.</summary>
    internal Lifetime? Weights { get; init; }

    /// <summary>
    /// Computes the modulations of all time steps of a generation, for every slot. Conditions must have been set. At most as many values as
    /// the program was made for.
    /// </summary>
    /// <param name="timesteps">Time steps as the models know them: noise level times 1000, or what the sampler makes of it.</param>
    /// <exception cref="ArgumentException">There are none or too many, or one is not finite.</exception>
    /// <exception cref="InvalidOperationException">A slot has no conditions yet.</exception>
    /// <exception cref="ObjectDisposedException">The program or its model was disposed; so for every segment.</exception>
    public void SetTimesteps(ReadOnlySpan<float> timesteps)
    {
        using Use use = Enter();
        for (int slot = 0; slot < Slots; slot++)
        {
            if (!_conditioned.Contains(slot))
            {
                throw new InvalidOperationException($"slot {slot} has no conditions yet: set those of all {Slots} slots before the time steps");
            }
        }

        if (timesteps.IsEmpty || !Finite.All(timesteps))
        {
            throw new ArgumentException(timesteps.IsEmpty ? "there are no time steps" : "a time step is not a finite number", nameof(timesteps));
        }

        OnSetTimesteps(timesteps);
        _steps = timesteps.Length;
    }

    /// <summary>Makes a time step and the conditions of a slot current. Segments are recorded for one slot and replayed for it alone.</summary>
    /// <param name="step">Index into the values of <see cref="SetTimesteps"/>.</param>
    /// <param name="slot">Index of the conditions.</param>
    /// <exception cref="ArgumentException">There is no such step or slot.</exception>
    /// <exception cref="InvalidOperationException">There are no time steps yet.</exception>
    public void Select(int step, int slot)
    {
        using Use use = Enter();
        if (_steps == 0)
        {
            throw new InvalidOperationException("there are no time steps yet: set conditions, then time steps, before a step is selected");
        }

        if ((uint)step >= (uint)_steps)
        {
            throw new ArgumentException($"there is no step {step}: {_steps} time steps were set", nameof(step));
        }

        if (Slots > 0)
        {
            RequireSlot(slot);
        }

        OnSelect(step, slot);
    }

    /// <summary>Embed: writes x0 [B, T, D].</summary>
    public void Embed(in Tensor x0)
    {
        using Use use = Enter();
        OnEmbed(x0);
    }

    /// <summary>Probe: blocks [0, depth) from x0; writes p [B, T, D]. <paramref name="extras"/> rides on the last residual addition that makes p.</summary>
    public void Probe(int depth, in Tensor x0, in Tensor p, in ResidualExtras extras)
    {
        using Use use = Enter();
        OnProbe(depth, x0, p, extras);
    }

    /// <summary>Body: blocks [depth, M) from p (and the other streams as the probe left them). Writes the residual y - x0 [B, T, D] unless it is
    /// empty.</summary>
    public void Body(int depth, in Tensor x0, in Tensor p, in Tensor residual)
    {
        using Use use = Enter();
        OnBody(depth, x0, p, residual);
    }

    /// <summary>Head: final norm and projection of what the body left; writes <see cref="Velocity"/>.</summary>
    public void Head()
    {
        using Use use = Enter();
        OnHead();
    }

    /// <summary>Align and Head of a skipped step: approximates y from the residuals instead.</summary>
    public void AlignedHead(in BlendInputs blend, ProbeForm form)
    {
        using Use use = Enter();
        OnAlignedHead(blend, form);
    }

    /// <summary>Work of one call with a given probe depth.</summary>
    public abstract SegmentFlops Flops(int probeDepth);

    /// <summary>Frees the activations; when a call runs on another thread, as that call ends. May be called twice.</summary>
    public void Dispose()
    {
        _lifetime.End();
        GC.SuppressFinalize(this);
    }

    /// <summary>Refuses a slot that does not exist.</summary>
    /// <exception cref="ArgumentException">There is no such slot.</exception>
    protected void RequireSlot(int slot)
    {
        if ((uint)slot >= (uint)Slots)
        {
            throw new ArgumentException($"there is no slot {slot}: the program was made for {Slots}", nameof(slot));
        }
    }

    /// <summary>Tells that the conditions of a slot are set.</summary>
    protected void HasConditions(int slot) => _conditioned.Add(slot);

    /// <summary>What <see cref="SetTimesteps"/> does.</summary>
    protected abstract void OnSetTimesteps(ReadOnlySpan<float> timesteps);

    /// <summary>What <see cref="Select"/> does.</summary>
    protected abstract void OnSelect(int step, int slot);

    /// <summary>What <see cref="Embed"/> does.</summary>
    protected abstract void OnEmbed(in Tensor x0);

    /// <summary>What <see cref="Probe"/> does.</summary>
    protected abstract void OnProbe(int depth, in Tensor x0, in Tensor p, in ResidualExtras extras);

    /// <summary>What <see cref="Body"/> does.</summary>
    protected abstract void OnBody(int depth, in Tensor x0, in Tensor p, in Tensor residual);

    /// <summary>What <see cref="Head"/> does.</summary>
    protected abstract void OnHead();

    /// <summary>What <see cref="AlignedHead"/> does.</summary>
    protected abstract void OnAlignedHead(in BlendInputs blend, ProbeForm form);

    /// <summary>Frees what the derived class owns.</summary>
    /// <param name="disposing">False when called by a finalizer.</param>
    protected abstract void Dispose(bool disposing);

    /// <summary>Begins a call: program, weights and backend stay until its end, and no other thread comes in.</summary>
    internal Use Enter()
    {
        Lifetime.Use own = _lifetime.Enter();
        Lifetime.Use? weights = null, backend = null;
        try
        {
            weights = Weights?.Enter();
            backend = (Backend as IHasLifetime)?.Lifetime.Enter();
            return new Use(own, weights, backend, Obeyed.Set(Cancellation));
        }
        catch
        {
            backend?.Dispose();
            weights?.Dispose();
            own.Dispose();
            throw;
        }
    }

    /// <summary>A call.</summary>
    internal readonly struct Use(Lifetime.Use own, Lifetime.Use? weights, Lifetime.Use? backend, Obeyed.Scope obeyed) : IDisposable
    {
        /// <summary>Ends it. Once.</summary>
        public void Dispose()
        {
            obeyed.Dispose();
            backend?.Dispose();
            weights?.Dispose();
            own.Dispose();
        }
    }

    /// <summary>Whether the blended feature map is stored: the epilogue form makes nothing of it but its norm, unless somebody looks on.</summary>
    protected bool KeepsBlend(ProbeForm form) => form != ProbeForm.Epilogue || Observer is not null;

    /// <summary>Reports an intermediate tensor to the observer, if there is one.</summary>
    protected void Observe(string name, in Tensor value) => Observer?.Invoke(name, value);
}
