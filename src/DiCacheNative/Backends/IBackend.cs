using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>
/// The seam between models and machines: a small set of fused operations, each with one meaning on every backend. The CPU backend is the
/// specification. Outputs are passed in and nothing is allocated inside a step. x, y, q, k, v, o and residuals are of
/// <see cref="ActivationType"/> unless a parameter says otherwise (an F32 residual stream is allowed wherever a residual is read or
/// written); modulations, gates, norm scales, rope tables and sums are F32. Shapes are checked by <see cref="OpValidation"/>.
/// </summary>
/// <remarks>
/// Operations issued by one thread run in order. Several threads may use one backend at the same time, each with tensors of its own.
/// Operations (uploads included) may be asynchronous: <see cref="Download(in Tensor, Span{float})"/> and <see cref="Synchronize"/> wait for
/// those of the calling thread. Operations of two threads are in no order: before another thread reads or writes a tensor, also after an
/// await, the thread that used it must have waited. Models, programs and sessions do so themselves.
/// </remarks>
public interface IBackend : IDisposable
{
    /// <summary>Short name: "cpu", "cuda", "cuda-host".</summary>
    string Name { get; }

    /// <summary>The device and what it computes with, in one line, for reports.</summary>
    string Description { get; }

    /// <summary>Element type of activations: F32 on the CPU, BF16 (or F32 in parity mode) on CUDA.</summary>
    DType ActivationType { get; }

    /// <summary>Kernels launched by operations so far; on the CPU, parallel passes over memory. For benchmarks. A replayed plan counts nothing.</summary>
    long Launches { get; }

    // ---- memory ----

    /// <summary>Whether weights and arenas lie in memory of the device's own; false when they lie in the host's.</summary>
    bool HasOwnMemory => false;

    /// <summary>Memory that is free now for weights and arenas, bytes.</summary>
    long AvailableBytes => HostMemory.AvailableBytes;

    /// <summary>Type in which matrices of weights are kept.</summary>
    DType WeightType => ActivationType;

    /// <summary>Allocates memory for activations.</summary>
    /// <param name="bytes">Size, as measured by <see cref="Arena.Measure"/>.</param>
    /// <param name="purpose">What it is for, for the message when it does not fit.</param>
    /// <exception cref="BackendException">Not enough memory: says needed, free and what to lower.</exception>
    Arena CreateArena(long bytes, string purpose);

    /// <summary>Packs or uploads the weight of a linear layer.</summary>
    /// <exception cref="ShapeException">The parts do not stack.</exception>
    LinearWeight CreateLinear(in LinearSource source);

    /// <summary>Copies host values into a tensor, converting to its type. The host memory may be reused on return.</summary>
    void Upload(ReadOnlySpan<float> source, in Tensor destination);

    /// <summary>Waits for the operations issued so far and copies a tensor to the host as binary32.</summary>
    void Download(in Tensor source, Span<float> destination);

    /// <summary>Waits for the operations issued so far; reports their errors.</summary>
    void Synchronize();

    /// <summary>
    /// Turns a fixed sequence of operations into a plan that can be run again and again: a CUDA graph on a GPU, a replayable delegate on
    /// the CPU. The action must issue the same operations on the same tensors every time. Recording does not run them, and a plan that
    /// cannot be carried out says so when it is run: on a GPU its first run issues the operations one by one and its second captures them.
    /// </summary>
    IStepPlan Record(string name, Action operations);

    // ---- operations ----

    /// <summary>y = epilogue(x W^T + b). x [B, L, K], y [B, L, N] (activation type or F32).</summary>
    void Linear(in Tensor x, LinearWeight weight, in Tensor y, Epilogue epilogue = Epilogue.None);

    /// <summary>y = LN(x) * (offset + scale) + shift, LN without affine part. x [B, L, D] (activation type or F32), y [B, L, D].</summary>
    void LayerNormModulate(in Tensor x, in Modulation modulation, in Tensor y, float epsilon = 1e-6f);

    /// <summary>RMS norm of q and k, then rotary embedding, in place. q, k [B, L, H * Dh]; k may be empty.</summary>
    void QkNormRope(in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads);

    /// <summary>o = softmax(q k^T * scale) v per sample and head. q, o [B, Lq, H * Dh]; k, v [B, Lk, H * Dh]; Dh up to 256. Never materialises Lq x
    /// Lk.</summary>
    void Attention(in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads, float scale);

    /// <summary>into = x + gate * y, with what <paramref name="extras"/> asks for in the same pass. gate F32 [B or 1, 1, D] or empty for 1. into may be
    /// x.</summary>
    void GatedResidual(in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras = default);

    /// <summary>into = a - b. For residuals that no residual addition could carry.</summary>
    void Subtract(in Tensor a, in Tensor b, in Tensor into);

    /// <summary>y = activation(x), <see cref="Epilogue.None"/> copying. Types may differ: this is also the cast and the strided copy.</summary>
    void Activate(in Tensor x, in Tensor y, Epilogue activation = Epilogue.None);

    /// <summary>
    /// Sinusoidal embedding of scalars. values F32 [B, 1, 1], y [B, 1, width]: cosines of values * f in the first half, sines in the
    /// second, f_i = exp(-ln(maxPeriod) i / (width / 2)). Arguments are evaluated in double precision.
    /// </summary>
    void TimestepEmbed(in Tensor values, in Tensor y, float maxPeriod = 10000f);

    /// <summary>Cuts latents [B, 1, C*F*H*W] into tokens [B, tokens, token width].</summary>
    void Patchify(in Tensor latents, in PatchGeometry geometry, in Tensor tokens);

    /// <summary>The inverse of <see cref="Patchify"/>.</summary>
    void Unpatchify(in Tensor tokens, in PatchGeometry geometry, in Tensor latents);

    /// <summary>x += dt * velocity, F32 x. dt F32 [1, 1, 1] in backend memory. The Euler step of flow matching.</summary>
    void EulerStep(in Tensor x, in Tensor velocity, in Tensor dt);

    /// <summary>into = uncond + scale (cond - uncond): classifier-free guidance. scale F32 [1, 1, 1].</summary>
    void Guide(in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into);

    /// <summary>Mean over the rows: x [B, L, D], y [B, 1, D].</summary>
    void MeanRows(in Tensor x, in Tensor y);

    // ---- DiCache ----

    /// <summary>The sums of the probe in one pass. sums F32 [1, 1, 6] in the order of <see cref="ProbeSums"/>. The same input gives the same bits.</summary>
    void ProbeL1(in ProbeInputs inputs, in Tensor sums, ProbeForm form = ProbeForm.Fused);

    /// <summary>Trajectory alignment: see <see cref="BlendInputs"/>. into [B, L, D]; with <paramref name="norm"/> the next norm is computed in the same pass,
    /// and into may be empty.</summary>
    void TrajectoryBlend(in BlendInputs inputs, in Tensor into, ProbeForm form = ProbeForm.Fused, in NextNorm norm = default);
}

/// <summary>A recorded sequence of operations.</summary>
public interface IStepPlan : IDisposable
{
    /// <summary>Name given when it was recorded.</summary>
    string Name { get; }

    /// <summary>Issues the operations.</summary>
    void Run();
}
