using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Wan;

/// <summary>WAN 2.1 laid out for one shape: patch embedding, blocks (self attention, cross attention to the text, feed-forward), head.</summary>
/// <remarks>
/// The residual stream is F32 on every backend, as in the published code. Keys and values of the text (and of the image) depend on the
/// conditions alone and are computed once for each slot.
/// </remarks>
public sealed partial class WanProgram : DiTProgram
{
    /// <summary>Element type of the residual stream.</summary>
    internal const DType ResidualType = DType.F32;

    private const double RopeTheta = 10000;

    // Norms of the image embedding come with PyTorch's default, whatever the blocks have.
    private const float ImageNormEpsilon = 1e-5f;

    private readonly WanConfig _config;
    private readonly WanWeights _weights;
    private readonly WanShape _shape;
    private readonly Arena _arena;
    private readonly WanActivations _a;
    private readonly WanRun[] _runs;
    private readonly (int Start, int Count)[] _chunks;
    private readonly float _softmaxScale;
    private readonly Tensor _q, _k, _v;
    private readonly WanBlockModulation[] _modulation;
    private readonly Modulation _headModulation;
    private int _slot;

    internal WanProgram(IBackend backend, WanConfig config, WanWeights weights, WanShape shape)
        : base(backend, shape.Batch, shape.Tokens, config.Width, config.Layers, ResidualType)
    {
        (_config, _weights, _shape, Slots) = (config, weights, shape, shape.Slots);
        (_runs, _chunks, _softmaxScale) = ([.. shape.Runs], RowChunks.Split(shape.Tokens, shape.MaxRows), 1f / MathF.Sqrt(config.HeadDim));

        Arena measure = Arena.Measure();
        _ = new WanActivations(measure, config, shape, backend.ActivationType);
        _arena = backend.CreateArena(measure.Used, $"WAN activations for {shape.Batch} x {shape.Latents[0]} latents (lower the size, the frames or the batch)");
        _a = new WanActivations(_arena, config, shape, backend.ActivationType);

        int d = config.Width;
        (_q, _k, _v) = (_a.Qkv.SliceCols(0, d), _a.Qkv.SliceCols(d, d), _a.Qkv.SliceCols(2 * d, d));
        _modulation = [.. Enumerable.Range(0, config.Layers).Select(i => new WanBlockModulation(_a.Modulation.SliceRows(i, 1), d))];
        _headModulation = new Modulation(_a.HeadModulation.SliceRows(0, 1), _a.HeadModulation.SliceRows(1, 1));
        backend.Upload(new float[d], _a.Zero);
        backend.Upload(new float[_a.Velocity.Count], _a.Velocity);
        UploadRope();
        backend.Synchronize();
    }

    /// <inheritdoc/>
    public override Tensor Input => _a.Input;

    /// <inheritdoc/>
    public override Tensor Velocity => _a.Velocity;

    /// <inheritdoc/>
    public override long ActivationBytes => _arena.Capacity;

    /// <summary>Sets the conditions of a slot, and computes what the blocks need of them.</summary>
    /// <param name="slot">Index of the slot.</param>
    /// <param name="samples">Conditions of every sample of the batch.</param>
    /// <exception cref="ArgumentException">A count or length does not fit model and shape.</exception>
    public void SetConditions(int slot, params ReadOnlySpan<WanConditions> samples)
    {
        using Use use = Enter();
        RequireSlot(slot);
        if (samples.Length != Batch)
        {
            throw new ArgumentException($"conditions of {samples.Length} samples do not fit a program for {Batch}", nameof(samples));
        }

        for (int i = 0; i < samples.Length; i++)
        {
            UploadPadded(samples[i].Text.Span, _a.TextStates.SliceBatch(i), "text states");
        }

        IBackend b = Backend;
        b.Linear(_a.TextStates, _weights.TextIn.In, _a.TextHidden, Epilogue.GeluTanh);
        b.Linear(_a.TextHidden, _weights.TextIn.Out, _a.Context);
        Observe("text_embedding", _a.Context);
        for (int i = 0; i < _config.Layers; i++)
        {
            WanBlockWeights w = _weights.Blocks[i];
            ProjectContext(_a.Context, w.CrossKeyValue, w.CrossKeyNorm, _a.TextKeyValue[i].SliceBatch(slot * Batch, Batch));
        }

        if (_weights.ImageIn is { } image)
        {
            SetImage(slot, samples, image);
        }

        b.Synchronize();
        HasConditions(slot);
    }

    /// <inheritdoc/>
    protected override void OnSetTimesteps(ReadOnlySpan<float> timesteps)
    {
        int steps = timesteps.Length;
        if (steps > _shape.MaxSteps)
        {
            throw new ArgumentException($"{steps} time steps, but the program was made for {_shape.MaxSteps}", nameof(timesteps));
        }

        IBackend b = Backend;
        Tensor values = _a.Timesteps.SliceBatch(0, steps), sinusoid = _a.Sinusoid.SliceRows(0, steps), hidden = _a.TimeHidden.SliceRows(0, steps);
        Tensor time = _a.Time.SliceRows(0, steps), projection = _a.TimeProjection.SliceRows(0, steps);
        b.Upload(timesteps, values);
        b.TimestepEmbed(values, sinusoid.Reshape(steps, 1, _config.FrequencyWidth));
        Observe("time_sinusoid", sinusoid);
        b.Linear(sinusoid, _weights.TimeIn.In, hidden, Epilogue.Silu);
        b.Linear(hidden, _weights.TimeIn.Out, time);
        Observe("time_embedding", time);
        b.Activate(time, hidden, Epilogue.Silu);
        b.Linear(hidden, _weights.TimeProjection, projection);
        Observe("time_projection", projection);
        Observe("rope_cos", _a.Rope.Cos);
        Observe("rope_sin", _a.Rope.Sin);
        b.Synchronize();
    }

    /// <inheritdoc/>
    protected override void OnSelect(int step, int slot)
    {
        _slot = slot;
        AddToAll(_weights.Modulations, _a.TimeProjection.SliceRows(step, 1), _config.Layers, 6, _a.Modulation);
        AddToAll(_weights.HeadModulation, _a.Time.SliceRows(step, 1), 2, 1, _a.HeadModulation);
    }

    /// <inheritdoc/>
    protected override void OnEmbed(in Tensor x0)
    {
        foreach (WanRun run in _runs)
        {
            int elements = run.Latent.Positions * _config.OutChannels;
            Tensor latents = Input.SliceBatch(run.Start, run.Count).SliceCols(0, elements);
            if (_config.HasImage)
            {
                Tensor stacked = _a.Stacked.SliceBatch((_slot * Batch) + run.Start, run.Count);
                Backend.Activate(latents, stacked.SliceCols(0, elements));
                latents = stacked.SliceCols(0, run.Latent.Positions * _config.InChannels);
            }

            Tensor patches = _a.Patches.SliceBatch(run.Start, run.Count).SliceRows(0, run.Tokens), rows = x0.SliceBatch(run.Start, run.Count);
            Backend.Patchify(latents, Geometry(run, _config.InChannels, channelsFirst: true), patches);
            Backend.Linear(patches, _weights.PatchIn, rows.SliceRows(0, run.Tokens));
            if (run.Tokens < Tokens)
            {
                Clear(rows.SliceRows(run.Tokens, Tokens - run.Tokens));
            }
        }

        Observe("patch_embedding", x0);
    }

    /// <inheritdoc/>
    protected override void OnProbe(int depth, in Tensor x0, in Tensor p, in ResidualExtras extras)
    {
        for (int i = 0; i < depth; i++)
        {
            Block(i, i == 0 ? x0 : _a.X, i == depth - 1 ? p : _a.X, i == depth - 1 ? extras : default);
        }
    }

    /// <inheritdoc/>
    protected override void OnBody(int depth, in Tensor x0, in Tensor p, in Tensor residual)
    {
        ResidualExtras record = new(ResidualOrigin: x0, Residual: residual);
        for (int i = depth; i < _config.Layers; i++)
        {
            Block(i, i == depth ? p : _a.X, _a.X, i == _config.Layers - 1 && !residual.IsEmpty ? record : default);
        }

        if (depth == _config.Layers)
        {
            Backend.Activate(p, _a.X);
            if (!residual.IsEmpty)
            {
                Backend.Subtract(p, x0, residual);
            }
        }
    }

    /// <inheritdoc/>
    protected override void OnHead()
    {
        // The queries are free by now: their place takes the normed rows.
        Backend.LayerNormModulate(_a.X, _headModulation, _q, _config.Epsilon);
        Project();
    }

    /// <inheritdoc/>
    protected override void OnAlignedHead(in BlendInputs blend, ProbeForm form)
    {
        Backend.TrajectoryBlend(blend, KeepsBlend(form) ? _a.X : default, form, new NextNorm(_headModulation, _q, _config.Epsilon));
        Project();
    }

    /// <inheritdoc/>
    public override SegmentFlops Flops(int probeDepth)
    {
        double d = Width, f = _config.MlpWidth, rows = (double)Batch * Tokens, patch = WanConfig.Patch.Positions;
        double contexts = (_shape.TextTokens ?? _config.TextTokens) + (_config.HasImage ? _shape.ImageTokens : 0);
        double keys = _runs.Sum(run => (double)run.Count * run.Tokens);
        double block = (2 * rows * d * ((6 * d) + (2 * f))) + (4 * d * Tokens * keys) + (4 * d * rows * contexts);
        return new SegmentFlops(
            2 * keys * d * _config.InChannels * patch, probeDepth * block, (_config.Layers - probeDepth) * block, 2 * rows * d * _config.OutChannels * patch);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _arena.Dispose();
        }
    }

    private static PatchGeometry Geometry(in WanRun run, int channels, bool channelsFirst) => new(
        channels, run.Latent.Frames, run.Latent.Height, run.Latent.Width, WanConfig.Patch.Frames, WanConfig.Patch.Height, WanConfig.Patch.Width, channelsFirst);

    // into = tables + the same vectors for all: a batch in which one operand stands still.
    private void AddToAll(in Tensor tables, in Tensor vectors, int count, int each, in Tensor into)
    {
        Tensor still = vectors.Reshape(1, each, Width) with { Batch = count, BatchStride = 0 };
        Backend.GatedResidual(tables.Reshape(count, each, Width), still, default, into.Reshape(count, each, Width));
    }

    private void Clear(in Tensor rows)
    {
        for (int i = 0; i < rows.Batch; i++)
        {
            Tensor sample = rows.SliceBatch(i);
            Tensor each = sample with { Batch = sample.Rows, Rows = 1, BatchStride = sample.RowStride };
            Backend.Activate(_a.Zero with { Batch = sample.Rows, BatchStride = 0 }, each);
        }
    }

    private void Project()
    {
        Backend.Linear(_q, _weights.HeadProjection, _a.Predicted);
        Observe("head", _a.Predicted);
        foreach (WanRun run in _runs)
        {
            Tensor tokens = _a.Predicted.SliceBatch(run.Start, run.Count).SliceRows(0, run.Tokens);
            Tensor latents = Velocity.SliceBatch(run.Start, run.Count).SliceCols(0, run.Latent.Positions * _config.OutChannels);
            Backend.Unpatchify(tokens, Geometry(run, _config.OutChannels, channelsFirst: false), latents);
        }

        Observe("output", Velocity);
    }

    private void UploadPadded(ReadOnlySpan<float> states, in Tensor into, string what)
    {
        if (states.Length == 0 || states.Length > into.Count || states.Length % into.Cols != 0)
        {
            throw new ArgumentException($"{what} of {states.Length} elements do not fit: at most {into.Rows} tokens of {into.Cols}");
        }

        float[] padded = new float[into.Count];
        states.CopyTo(padded);
        Backend.Upload(padded, into);
    }

    private void ProjectContext(in Tensor context, LinearWeight keyValue, in QkNorm norm, in Tensor into)
    {
        Backend.Linear(context, keyValue, into);
        Backend.QkNormRope(into.SliceCols(0, Width), default, norm, default, _config.Heads);
    }

    private void SetImage(int slot, ReadOnlySpan<WanConditions> samples, WanImageWeights weights)
    {
        for (int i = 0; i < samples.Length; i++)
        {
            int positions = _shape.Latents[i].Positions, expected = positions * _config.ConditionChannels;
            if (samples[i].Image.Length != _a.ImageStates.SliceBatch(i).Count || samples[i].Latents.Length != expected)
            {
                throw new ArgumentException(
                    $"an image-to-video model needs CLIP features of {_a.ImageStates.SliceBatch(i).Count} and conditioning latents of {expected} elements, "
                    + $"not {samples[i].Image.Length} and {samples[i].Latents.Length}");
            }

            Backend.Upload(samples[i].Image.Span, _a.ImageStates.SliceBatch(i));
            Backend.Upload(samples[i].Latents.Span, _a.Stacked.SliceBatch((slot * Batch) + i).SliceCols(positions * _config.OutChannels, expected));
        }

        Backend.LayerNormModulate(_a.ImageStates, weights.FirstNorm, _a.ImageStates, ImageNormEpsilon);
        Backend.Linear(_a.ImageStates, weights.Up, _a.ImageHidden, Epilogue.GeluErf);
        Backend.Linear(_a.ImageHidden, weights.Down, _a.ImageContext);
        Backend.LayerNormModulate(_a.ImageContext, weights.LastNorm, _a.ImageContext, ImageNormEpsilon);
        Observe("img_emb", _a.ImageContext);
        for (int i = 0; i < _config.Layers; i++)
        {
            WanImageAttentionWeights w = _weights.Blocks[i].Image!;
            ProjectContext(_a.ImageContext, w.KeyValue, w.KeyNorm, _a.ImageKeyValue[i].SliceBatch(slot * Batch, Batch));
        }
    }

    // Padding keeps the angle 0: it is not turned.
    private void UploadRope()
    {
        int half = _config.HeadDim / 2;
        for (int i = 0; i < _runs.Length; i++)
        {
            float[] cos = new float[Tokens * half], sin = new float[cos.Length];
            cos.AsSpan().Fill(1);
            RotaryTable.Fill(_runs[i].Grid, _config.RopeAxes, RopeTheta, cos, sin);
            Backend.Upload(cos, _a.Rope.Cos.SliceBatch(i));
            Backend.Upload(sin, _a.Rope.Sin.SliceBatch(i));
        }
    }
}
