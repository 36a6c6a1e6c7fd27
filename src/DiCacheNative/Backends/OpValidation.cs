using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <summary>
/// Shape and type checks of the operations, shared by all backends, so that kernels hold no guards against impossible input. Each method
/// is named for the operation it checks and throws a <see cref="ShapeException"/> that names the operand and both shapes, or an
/// <see cref="ObjectDisposedException"/> for an operand whose arena was disposed. A call that passes allocates nothing.
/// </summary>
/// <remarks>
/// Aliasing. Operations that work element by element or row by row (<see cref="LayerNormModulate"/>, <see cref="GatedResidual"/>,
/// <see cref="Subtract"/>, <see cref="Activate"/>, <see cref="EulerStep"/>, <see cref="Guide"/>, <see cref="TrajectoryBlend"/>) may write
/// over an input: an output is either the same view as an input of the same shape or shares no element with it. Outputs of one operation
/// share no element with each other, nor with the operands of a probe that rides along. The other operations read an input more than
/// once: there an output shares nothing with any input.
/// </remarks>
public static partial class OpValidation
{
    /// <summary>Largest width of an attention head.</summary>
    public const int MaxHeadWidth = 256;

    /// <summary>Checks the parts of a linear weight: matrices [n_i, K] that stack, biases [n_i] or none.</summary>
    /// <param name="source">What the weight is made from.</param>
    /// <returns>N, the sum of the n_i, and K.</returns>
    /// <exception cref="ShapeException">A part has another rank, width or length than the others ask for.</exception>
    public static (int OutFeatures, int InFeatures) Linear(in LinearSource source)
    {
        if (source.Weights is not { Count: > 0 } weights || source.Biases is not { } biases)
        {
            throw new ShapeException($"linear weight {source.Name} has no parts");
        }

        int outFeatures = 0, inFeatures = 0;
        foreach (HostTensor part in weights)
        {
            if (part.Shape.Length != 2 || part.Count == 0 || !part.HasValues)
            {
                throw new ShapeException($"linear weight {source.Name}: {part.Name} {part.ShapeText} should be a matrix [out, in] with elements");
            }

            inFeatures = inFeatures == 0 ? part.Shape[1] : inFeatures;
            if (part.Shape[1] != inFeatures)
            {
                throw new ShapeException(
                    $"linear weight {source.Name}: {part.Name} {part.ShapeText} cannot be stacked under {weights[0].Name} {weights[0].ShapeText}");
            }

            RequireFloating(source.Name, part);
            outFeatures = checked(outFeatures + part.Shape[0]);
        }

        if (biases.Count != 0 && biases.Count != weights.Count)
        {
            throw new ShapeException($"linear weight {source.Name} has {weights.Count} matrices and {biases.Count} biases: give one each, or none");
        }

        for (int i = 0; i < biases.Count; i++)
        {
            if (biases[i].Count != weights[i].Shape[0] || biases[i].Shape.Length != 1 || !biases[i].HasValues)
            {
                throw new ShapeException(
                    $"linear weight {source.Name}: bias {biases[i].Name} {biases[i].ShapeText} does not fit {weights[i].Name} {weights[i].ShapeText}");
            }

            RequireFloating(source.Name, biases[i]);
        }

        return (outFeatures, inFeatures);
    }

    /// <summary>Checks <see cref="IBackend.Linear"/>: x [B, L, K] of the activation type, y [B, L, N].</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="x">Input.</param>
    /// <param name="weight">Weight N x K.</param>
    /// <param name="y">Output.</param>
    public static void Linear(DType activation, in Tensor x, LinearWeight weight, in Tensor y)
    {
        const string op = "linear";
        ArgumentNullException.ThrowIfNull(weight);
        RequireAlive(weight);
        RequireType(op, nameof(x), x, activation);
        RequireActivation(op, nameof(y), y, activation);
        if (x.Cols != weight.InFeatures)
        {
            ThrowWeight(nameof(x), x, weight, weight.InFeatures);
        }

        if (y.Cols != weight.OutFeatures)
        {
            ThrowWeight(nameof(y), y, weight, weight.OutFeatures);
        }

        RequireRows(op, nameof(y), y, nameof(x), x);
        RequireWritable(op, nameof(y), y);
        RequireDisjoint(op, nameof(y), y, nameof(x), x);
    }

    /// <summary>Checks <see cref="IBackend.LayerNormModulate"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="x">Input [B, L, D], activation type or F32.</param>
    /// <param name="modulation">Affine map after the norm.</param>
    /// <param name="y">Output [B, L, D]; may be x.</param>
    public static void LayerNormModulate(DType activation, in Tensor x, in Modulation modulation, in Tensor y)
    {
        const string op = "layer_norm_modulate";
        RequireActivation(op, nameof(x), x, activation);
        RequireActivation(op, nameof(y), y, activation);
        RequireSameShape(op, nameof(y), y, nameof(x), x);
        RequireModulation(op, modulation, x);
        RequireWritable(op, nameof(y), y);
        RequireSameOrDisjoint(op, nameof(y), y, nameof(x), x);
    }

    /// <summary>Checks <see cref="IBackend.QkNormRope"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="q">Queries [B, L, H * Dh].</param>
    /// <param name="k">Keys of the same width, or empty. Their row count may differ when there is no rotation.</param>
    /// <param name="norm">RMS norm scales.</param>
    /// <param name="rope">Rotation for the first rows, or empty.</param>
    /// <param name="heads">H.</param>
    public static void QkNormRope(DType activation, in Tensor q, in Tensor k, in QkNorm norm, in RopeTable rope, int heads)
    {
        const string op = "qk_norm_rope";
        RequireType(op, nameof(q), q, activation);
        RequireWritable(op, nameof(q), q);
        int headWidth = RequireHeads(op, nameof(q), q, heads);
        RequireNormScale(op, "norm.Query", norm.Query, q, headWidth);
        if (!k.IsEmpty)
        {
            RequireType(op, nameof(k), k, activation);
            RequireWritable(op, nameof(k), k);
            if (k.Batch != q.Batch || k.Cols != q.Cols || (!rope.Cos.IsEmpty && k.Rows != q.Rows))
            {
                ThrowPair(op, nameof(k), k, nameof(q), q);
            }

            RequireNormScale(op, "norm.Key", norm.Key, k, headWidth);
            RequireDisjoint(op, nameof(k), k, nameof(q), q);
        }

        if (rope.Cos.IsEmpty != rope.Sin.IsEmpty)
        {
            throw new ShapeException($"{op}: rope.Cos {rope.Cos} and rope.Sin {rope.Sin} should both be given or both be empty");
        }

        if (rope.Cos.IsEmpty)
        {
            return;
        }

        RequireType(op, "rope.Cos", rope.Cos, DType.F32);
        RequireType(op, "rope.Sin", rope.Sin, DType.F32);
        RequireSameShape(op, "rope.Sin", rope.Sin, "rope.Cos", rope.Cos);
        if (headWidth % 2 != 0 || rope.Cos.Cols != headWidth / 2 || rope.Cos.Rows > q.Rows || (rope.Cos.Batch != 1 && rope.Cos.Batch != q.Batch))
        {
            throw new ShapeException(
                $"{op}: rope.Cos {rope.Cos} does not fit q {q} with {heads} heads of {headWidth}: expected F32 [{q.Batch} or 1, up to {q.Rows}, "
                    + $"{headWidth / 2}]");
        }
    }

    /// <summary>Checks <see cref="IBackend.Attention"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="q">Queries [B, Lq, H * Dh].</param>
    /// <param name="k">Keys [B, Lk, H * Dh].</param>
    /// <param name="v">Values, shaped as the keys.</param>
    /// <param name="o">Output, shaped as the queries; shares nothing with any input.</param>
    /// <param name="heads">H.</param>
    public static void Attention(DType activation, in Tensor q, in Tensor k, in Tensor v, in Tensor o, int heads)
    {
        const string op = "attention";
        RequireType(op, nameof(q), q, activation);
        RequireType(op, nameof(k), k, activation);
        RequireType(op, nameof(v), v, activation);
        RequireType(op, nameof(o), o, activation);
        RequireHeads(op, nameof(q), q, heads);
        RequireSameShape(op, nameof(o), o, nameof(q), q);
        RequireSameShape(op, nameof(v), v, nameof(k), k);
        if (k.Batch != q.Batch || k.Cols != q.Cols)
        {
            ThrowPair(op, nameof(k), k, nameof(q), q);
        }

        RequireWritable(op, nameof(o), o);
        RequireDisjoint(op, nameof(o), o, nameof(q), q);
        RequireDisjoint(op, nameof(o), o, nameof(k), k);
        RequireDisjoint(op, nameof(o), o, nameof(v), v);
    }

    /// <summary>Checks <see cref="IBackend.Subtract"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="a">Minuend [B, L, D].</param>
    /// <param name="b">Subtrahend.</param>
    /// <param name="into">Result; may be either.</param>
    public static void Subtract(DType activation, in Tensor a, in Tensor b, in Tensor into)
    {
        const string op = "subtract";
        RequireActivation(op, nameof(a), a, activation);
        RequireActivation(op, nameof(b), b, activation);
        RequireActivation(op, nameof(into), into, activation);
        RequireSameShape(op, nameof(b), b, nameof(a), a);
        RequireSameShape(op, nameof(into), into, nameof(a), a);
        RequireWritable(op, nameof(into), into);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(a), a);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(b), b);
    }

    /// <summary>Checks <see cref="IBackend.Activate"/>: x and y F32 or BF16.</summary>
    /// <param name="x">Input [B, L, D].</param>
    /// <param name="y">Output of the same shape; may be x.</param>
    public static void Activate(in Tensor x, in Tensor y)
    {
        const string op = "activate";
        RequireActivation(op, nameof(x), x, DType.BF16);
        RequireActivation(op, nameof(y), y, DType.BF16);
        RequireSameShape(op, nameof(y), y, nameof(x), x);
        RequireWritable(op, nameof(y), y);
        RequireSameOrDisjoint(op, nameof(y), y, nameof(x), x);
    }

    /// <summary>Checks <see cref="IBackend.TimestepEmbed"/>: values F32 [B, 1, 1], y [B, 1, even width].</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="values">Scalars.</param>
    /// <param name="y">Embeddings.</param>
    public static void TimestepEmbed(DType activation, in Tensor values, in Tensor y)
    {
        const string op = "timestep_embed";
        RequireType(op, nameof(values), values, DType.F32);
        RequireActivation(op, nameof(y), y, activation);
        if (values.Rows != 1 || values.Cols != 1 || y.Batch != values.Batch || y.Rows != 1 || y.Cols % 2 != 0)
        {
            throw new ShapeException($"{op}: values {values} should be [B, 1, 1] and y {y} should be [B, 1, even width]");
        }

        RequireWritable(op, nameof(y), y);
        RequireDisjoint(op, nameof(y), y, nameof(values), values);
    }

    /// <summary>Checks <see cref="IBackend.Patchify"/> and <see cref="IBackend.Unpatchify"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="latents">[B, 1, C * F * H * W].</param>
    /// <param name="geometry">How they are cut.</param>
    /// <param name="tokens">[B, tokens, token width].</param>
    /// <param name="toTokens">True for Patchify.</param>
    public static void Patchify(DType activation, in Tensor latents, in PatchGeometry geometry, in Tensor tokens, bool toTokens)
    {
        string op = toTokens ? "patchify" : "unpatchify";
        PatchGeometry g = geometry;
        RequireActivation(op, nameof(latents), latents, activation);
        RequireActivation(op, nameof(tokens), tokens, activation);
        if (g.Channels <= 0 || g.PatchFrames <= 0 || g.PatchHeight <= 0 || g.PatchWidth <= 0 || g.Frames <= 0 || g.Height <= 0 || g.Width <= 0
            || g.Frames % g.PatchFrames != 0 || g.Height % g.PatchHeight != 0 || g.Width % g.PatchWidth != 0)
        {
            throw new ShapeException(
                $"{op}: latents [{g.Channels}, {g.Frames}, {g.Height}, {g.Width}] cannot be cut into patches of {g.PatchFrames} x {g.PatchHeight} x "
                    + $"{g.PatchWidth}");
        }

        long elements = (long)g.Channels * g.Frames * g.Height * g.Width;
        if (latents.Rows != 1 || latents.Cols != elements)
        {
            throw new ShapeException($"{op}: latents {latents} should be [B, 1, {elements}] for [{g.Channels}, {g.Frames}, {g.Height}, {g.Width}]");
        }

        if (tokens.Batch != latents.Batch || tokens.Rows != g.Tokens || tokens.Cols != g.TokenWidth)
        {
            throw new ShapeException($"{op}: tokens {tokens} should be [{latents.Batch}, {g.Tokens}, {g.TokenWidth}] to fit latents {latents}");
        }

        RequireWritable(op, toTokens ? nameof(tokens) : nameof(latents), toTokens ? tokens : latents);
        RequireDisjoint(op, nameof(tokens), tokens, nameof(latents), latents);
    }

    /// <summary>Checks <see cref="IBackend.EulerStep"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="x">F32 [B, L, D], updated.</param>
    /// <param name="velocity">Same shape, activation type or F32.</param>
    /// <param name="dt">F32 [1, 1, 1].</param>
    public static void EulerStep(DType activation, in Tensor x, in Tensor velocity, in Tensor dt)
    {
        const string op = "euler_step";
        RequireType(op, nameof(x), x, DType.F32);
        RequireActivation(op, nameof(velocity), velocity, activation);
        RequireSameShape(op, nameof(velocity), velocity, nameof(x), x);
        RequireScalar(op, nameof(dt), dt);
        RequireWritable(op, nameof(x), x);
        RequireSameOrDisjoint(op, nameof(x), x, nameof(velocity), velocity);
        RequireDisjoint(op, nameof(x), x, nameof(dt), dt);
    }

    /// <summary>Checks <see cref="IBackend.Guide"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="cond">[B, L, D].</param>
    /// <param name="uncond">Same shape.</param>
    /// <param name="scale">F32 [1, 1, 1].</param>
    /// <param name="into">Same shape; may be either input.</param>
    public static void Guide(DType activation, in Tensor cond, in Tensor uncond, in Tensor scale, in Tensor into)
    {
        const string op = "guide";
        RequireActivation(op, nameof(cond), cond, activation);
        RequireActivation(op, nameof(uncond), uncond, activation);
        RequireActivation(op, nameof(into), into, activation);
        RequireSameShape(op, nameof(uncond), uncond, nameof(cond), cond);
        RequireSameShape(op, nameof(into), into, nameof(cond), cond);
        RequireScalar(op, nameof(scale), scale);
        RequireWritable(op, nameof(into), into);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(cond), cond);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(uncond), uncond);
        RequireDisjoint(op, nameof(into), into, nameof(scale), scale);
    }

    /// <summary>Checks <see cref="IBackend.MeanRows"/>: x [B, L, D], y [B, 1, D].</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="x">Input.</param>
    /// <param name="y">Output.</param>
    public static void MeanRows(DType activation, in Tensor x, in Tensor y)
    {
        const string op = "mean_rows";
        RequireActivation(op, nameof(x), x, activation);
        RequireActivation(op, nameof(y), y, activation);
        if (y.Batch != x.Batch || y.Rows != 1 || y.Cols != x.Cols)
        {
            throw new ShapeException($"{op}: y {y} should be [{x.Batch}, 1, {x.Cols}] to fit x {x}");
        }

        RequireWritable(op, nameof(y), y);
        RequireDisjoint(op, nameof(y), y, nameof(x), x);
    }
}
