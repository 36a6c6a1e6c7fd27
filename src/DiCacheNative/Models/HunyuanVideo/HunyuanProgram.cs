using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.HunyuanVideo;

/// <summary>HunyuanVideo laid out for one shape: patch embedding and token refiner, double blocks, single blocks, final layer.</summary>
/// <remarks>
/// The joint sequence has the image first, then the text. Image and valid text attend to each other; padded text attends to itself alone
/// and reaches nothing else. The refined text depends on the time step, so the refiner is part of the embedding.
/// </remarks>
public sealed partial class HunyuanProgram : DiTProgram
{
    /// <summary>Width of the sinusoidal embedding of time step and guidance.</summary>
    internal const int SinusoidWidth = 256;

    // The guidance is embedded on the scale of the time step.
    private const float GuidanceScale = 1000f;

    private readonly HunyuanConfig _config;
    private readonly HunyuanWeights _weights;
    private readonly HunyuanShape _shape;
    private readonly PatchGeometry _geometry;
    private readonly Arena _arena;
    private readonly HunyuanActivations _a;
    private readonly HunyuanModulations _modulation;
    private readonly (int Start, int Count)[] _chunks, _jointChunks;
    private readonly float _softmaxScale;
    private readonly Tensor _image, _text, _q, _k, _v, _qImage, _kImage, _qText, _kText;
    private readonly HunyuanConditions[][] _conditions;
    private readonly TextRun[][] _textRuns;
    private int _slot;

    internal HunyuanProgram(IBackend backend, HunyuanConfig config, HunyuanWeights weights, HunyuanShape shape)
        : base(backend, shape.Batch, shape.ImageTokens, config.Width, config.DoubleBlocks, backend.ActivationType)
    {
        (_config, _weights, _shape, Slots) = (config, weights, shape, shape.Slots);
        (_chunks, _softmaxScale) = (RowChunks.Split(shape.ImageTokens, shape.MaxRows), 1f / MathF.Sqrt(config.HeadDim));
        _jointChunks = [.. _chunks, TextRows];
        LatentSize patch = HunyuanConfig.Patch;
        _geometry = new PatchGeometry(
            config.Channels, shape.Latent.Frames, shape.Latent.Height, shape.Latent.Width, patch.Frames, patch.Height, patch.Width, ChannelsFirst: true);
        _conditions = new HunyuanConditions[shape.Slots][];
        _textRuns = new TextRun[shape.Slots][];

        Arena measure = Arena.Measure();
        _ = new HunyuanActivations(measure, config, shape, backend.ActivationType);
        _arena = backend.CreateArena(measure.Used,
            $"HunyuanVideo activations for {shape.Batch} x {shape.Latent} latents (lower the size, the frames or the batch)");
        _a = new HunyuanActivations(_arena, config, shape, backend.ActivationType);
        _modulation = new HunyuanModulations(config, _a.Modulation);

        int image = shape.ImageTokens, text = shape.TextTokens, d = config.Width;
        (_image, _text) = (_a.Joint.SliceRows(0, image), _a.Joint.SliceRows(image, text));
        (_q, _k, _v) = (_a.Qkv.SliceCols(0, d), _a.Qkv.SliceCols(d, d), _a.Qkv.SliceCols(2 * d, d));
        (_qImage, _kImage) = (_q.SliceRows(0, image), _k.SliceRows(0, image));
        (_qText, _kText) = (_q.SliceRows(image, text), _k.SliceRows(image, text));

        float[] cos = new float[image * (config.HeadDim / 2)], sin = new float[cos.Length];
        RotaryTable.Fill(shape.Grid, config.RopeAxes, config.RopeTheta, cos, sin);
        backend.Upload(cos, _a.Rope.Cos);
        backend.Upload(sin, _a.Rope.Sin);
        backend.Synchronize();
    }

    /// <inheritdoc/>
    public override Tensor Input => _a.Input;

    /// <inheritdoc/>
    public override Tensor Velocity => _a.Velocity;

    /// <inheritdoc/>
    public override long ActivationBytes => _arena.Capacity;

    /// <summary>Sets the conditions of a slot. Call before <see cref="DiTProgram.SetTimesteps"/>.</summary>
    /// <param name="slot">Index of the slot.</param>
    /// <param name="samples">Conditions of every sample of the batch.</param>
    /// <exception cref="ArgumentException">A count or length does not fit model and shape.</exception>
    public void SetConditions(int slot, params ReadOnlySpan<HunyuanConditions> samples)
    {
        using Use use = Enter();
        RequireSlot(slot);
        if (samples.Length != Batch)
        {
            throw new ArgumentException($"conditions of {samples.Length} samples do not fit a program for {Batch}", nameof(samples));
        }

        int[] valid = new int[samples.Length];
        for (int i = 0; i < samples.Length; i++)
        {
            valid[i] = UploadText(samples[i], i);
        }

        TextRun[] runs = valid.Distinct().Count() == 1 ? [new TextRun(0, Batch, valid[0])] : [.. valid.Select((v, i) => new TextRun(i, 1, v))];
        if (_textRuns[slot] is { } before && !before.AsSpan().SequenceEqual(runs))
        {
            PlanVersion++;
        }

        (_conditions[slot], _textRuns[slot]) = (samples.ToArray(), runs);

        IBackend b = Backend;
        Tensor embedded = _a.TextEmbedded.SliceBatch(slot * Batch, Batch), context = _a.TextContexts.SliceRows(slot * Batch, Batch);
        b.Linear(_a.TextStates, _weights.TextIn, embedded);
        Observe("txt_in.input_embedder", embedded);
        foreach (TextRun run in runs)
        {
            b.MeanRows(_a.TextStates.SliceBatch(run.Start, run.Count).SliceRows(0, run.Valid), _a.TextMeans.SliceBatch(run.Start, run.Count));
        }

        b.Linear(_a.TextMeans.Reshape(1, Batch, _config.TextDim), _weights.RefinerTextIn.In, _a.TextHidden, Epilogue.Silu);
        b.Linear(_a.TextHidden, _weights.RefinerTextIn.Out, context);
        Observe("txt_in.c_embedder", context);
        b.Synchronize();
        HasConditions(slot);
    }

    /// <inheritdoc/>
    protected override void OnSetTimesteps(ReadOnlySpan<float> timesteps)
    {
        int slots = _shape.Slots, perStep = slots * Batch, rows = timesteps.Length * perStep, width = _config.PooledDim;
        if (timesteps.Length > _shape.MaxSteps)
        {
            throw new ArgumentException($"{timesteps.Length} time steps, but the program was made for {_shape.MaxSteps}", nameof(timesteps));
        }

        float[] times = new float[rows], guidances = new float[rows], pooled = new float[rows * width];
        for (int row = 0; row < rows; row++)
        {
            HunyuanConditions sample = _conditions[row / Batch % slots][row % Batch];
            (times[row], guidances[row]) = (timesteps[row / perStep], sample.Guidance * GuidanceScale);
            sample.Pooled.Span.CopyTo(pooled.AsSpan(row * width, width));
        }

        IBackend b = Backend;
        Tensor vector = _a.Vector.SliceRows(0, rows), part = _a.Part.SliceRows(0, rows), hidden = _a.Hidden.SliceRows(0, rows),
            pooledRows = _a.Pooled.SliceRows(0, rows);
        Tensor sinusoid = _a.Sinusoid.SliceRows(0, rows);

        // The refiner has a vector of its own: time step and mean of the text.
        EmbedScalars(times, sinusoid, "time_sinusoid");
        Embed(sinusoid, _weights.RefinerTimeIn, vector, "txt_in.t_embedder");
        Tensor sameForAll = _a.TextContexts with { Batch = timesteps.Length, BatchStride = 0 }, steps = vector.Reshape(timesteps.Length, perStep, Width);
        b.GatedResidual(steps, sameForAll, default, steps);
        b.Activate(vector, hidden, Epilogue.Silu);
        int at = Modulate(hidden, HunyuanModulations.Refining(_weights), 0);

        Embed(sinusoid, _weights.TimeIn, vector, "time_in");
        b.Upload(pooled, pooledRows);
        Embed(pooledRows, _weights.PooledIn, part, "vector_in");
        b.GatedResidual(vector, part, default, vector);
        if (_weights.GuidanceIn is { } guidanceIn)
        {
            EmbedScalars(guidances, sinusoid, "guidance_sinusoid");
            Embed(sinusoid, guidanceIn, part, "guidance_in");
            b.GatedResidual(vector, part, default, vector);
        }

        Observe("vec", vector);
        b.Activate(vector, hidden, Epilogue.Silu);
        Modulate(hidden, HunyuanModulations.Others(_weights), at);
        Observe("freqs_cos", _a.Rope.Cos);
        Observe("freqs_sin", _a.Rope.Sin);
        b.Synchronize();
    }

    /// <inheritdoc/>
    protected override void OnSelect(int step, int slot)
    {
        _slot = slot;
        Tensor rows = _a.Modulations.SliceRows(((step * _shape.Slots) + slot) * Batch, Batch);
        Backend.Activate(rows.Reshape(Batch, 1, _config.ModulationWidth), _a.Modulation);
    }

    /// <inheritdoc/>
    protected override void OnEmbed(in Tensor x0)
    {
        Backend.Patchify(Input, _geometry, _a.Patches);
        Backend.Linear(_a.Patches, _weights.ImageIn, x0);
        Observe("img_in", x0);
        Backend.Activate(_a.TextEmbedded.SliceBatch(_slot * Batch, Batch), _text);
        for (int i = 0; i < _config.RefinerBlocks; i++)
        {
            RefinerBlock(i);
        }

        Observe("txt_in", _text);
    }

    /// <inheritdoc/>
    protected override void OnProbe(int depth, in Tensor x0, in Tensor p, in ResidualExtras extras)
    {
        for (int i = 0; i < depth; i++)
        {
            DoubleBlock(i, i == 0 ? x0 : _image, i == depth - 1 ? p : _image, i == depth - 1 ? extras : default);
        }
    }

    /// <inheritdoc/>
    protected override void OnBody(int depth, in Tensor x0, in Tensor p, in Tensor residual)
    {
        ResidualExtras record = residual.IsEmpty ? default : new ResidualExtras(ResidualOrigin: x0, Residual: residual);
        int doubles = _config.DoubleBlocks, singles = _config.SingleBlocks;
        for (int i = depth; i < doubles; i++)
        {
            DoubleBlock(i, i == depth ? p : _image, _image, singles == 0 && i == doubles - 1 ? record : default);
        }

        if (depth == doubles)
        {
            Backend.Activate(p, _image);
            if (singles == 0 && !residual.IsEmpty)
            {
                Backend.Subtract(p, x0, residual);
            }
        }

        for (int i = 0; i < singles; i++)
        {
            SingleBlock(i, i == singles - 1 ? record : default);
        }
    }

    /// <inheritdoc/>
    protected override void OnHead()
    {
        // The queries are free by now: their place takes the normed rows.
        Backend.LayerNormModulate(_image, _modulation.Final, _qImage);
        Project();
    }

    /// <inheritdoc/>
    protected override void OnAlignedHead(in BlendInputs blend, ProbeForm form)
    {
        Backend.TrajectoryBlend(blend, KeepsBlend(form) ? _image : default, form, new NextNorm(_modulation.Final, _qImage));
        Project();
    }

    /// <inheritdoc/>
    public override SegmentFlops Flops(int probeDepth)
    {
        double b = Batch, image = _shape.ImageTokens, text = _shape.TextTokens, length = _shape.Tokens, d = Width, f = _config.MlpWidth,
            patch = _a.Patches.Cols;
        double linear = 2 * d * ((4 * d) + (2 * f)), block = (b * length * linear) + (4 * b * length * length * d);
        double embed = (2 * b * image * patch * d) + (_config.RefinerBlocks * b * ((text * linear) + (4 * text * text * d)));
        return new SegmentFlops(embed, probeDepth * block, (_config.DoubleBlocks + _config.SingleBlocks - probeDepth) * block, 2 * b * image * d * patch);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _arena.Dispose();
        }
    }

    private void Project()
    {
        Backend.Linear(_qImage, _weights.FinalProjection, _a.Predicted);
        Observe("final_layer", _a.Predicted);
        Backend.Unpatchify(_a.Predicted, _geometry, Velocity);
        Observe("output", Velocity);
    }

    private int UploadText(HunyuanConditions sample, int index)
    {
        Tensor into = _a.TextStates.SliceBatch(index);
        int given = sample.Text.Length / into.Cols, valid = sample.ValidTokens ?? given;
        if (sample.Text.Length % into.Cols != 0 || given > into.Rows || valid < 1 || valid > given || sample.Pooled.Length != _config.PooledDim)
        {
            throw new ArgumentException(
                $"conditions of {sample.Text.Length} text elements, {valid} valid tokens and {sample.Pooled.Length} pooled elements do not fit: "
                + $"text is at most {into.Rows} tokens of {into.Cols}, at least one of them valid, pooled {_config.PooledDim}");
        }

        float[] padded = new float[into.Count];
        sample.Text.Span.CopyTo(padded);
        Backend.Upload(padded, into);
        return valid;
    }

    private void EmbedScalars(float[] scalars, in Tensor sinusoid, string name)
    {
        Tensor values = _a.Values.SliceBatch(0, scalars.Length);
        Backend.Upload(scalars, values);
        Backend.TimestepEmbed(values, sinusoid.Reshape(scalars.Length, 1, SinusoidWidth));
        Observe(name, sinusoid);
    }

    // in -> SiLU -> out.
    private void Embed(in Tensor x, (LinearWeight In, LinearWeight Out) weights, in Tensor into, string name)
    {
        Tensor hidden = _a.Hidden.SliceRows(0, x.Rows);
        Backend.Linear(x, weights.In, hidden, Epilogue.Silu);
        Backend.Linear(hidden, weights.Out, into);
        Observe(name, into);
    }

    // Every modulation of every step in one product per layer: their weights are a quarter of the model and would be read again each step.
    private int Modulate(in Tensor active, IEnumerable<LinearWeight> layers, int at)
    {
        Tensor modulations = _a.Modulations.SliceRows(0, active.Rows);
        foreach (LinearWeight layer in layers)
        {
            Backend.Linear(active, layer, modulations.SliceCols(at, layer.OutFeatures));
            at += layer.OutFeatures;
        }

        return at;
    }

    /// <summary>Samples [Start, Start + Count) with the same number of valid text tokens.</summary>
    private readonly record struct TextRun(int Start, int Count, int Valid);
}
