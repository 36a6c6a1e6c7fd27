using DiCacheNative.Backends;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models.Flux;

/// <summary>FLUX.1 laid out for one shape: embed, double blocks, single blocks, final layer.</summary>
/// <remarks>Follows the released model: joint attention over text and image tokens, RMS-normed queries and keys, rotary axes (index, row, column).</remarks>
public sealed partial class FluxProgram : DiTProgram
{
    /// <summary>Width of the sinusoidal embedding of time step and guidance.</summary>
    internal const int SinusoidWidth = 256;

    // The guidance is embedded on the scale of the time step.
    private const float GuidanceScale = 1000f;
    private const double RopeTheta = 10000;

    private readonly FluxConfig _config;
    private readonly FluxWeights _weights;
    private readonly FluxShape _shape;
    private readonly Arena _arena;
    private readonly float _softmaxScale;
    private readonly float[][] _pooled;
    private readonly float[][] _guidance;

    // Taken from the arena, and parts of what was taken.
    private readonly Tensor _tokens, _joint, _text, _image, _norm, _textNorm, _imageNorm, _qkv, _qkvText, _qkvImage, _q, _k, _v, _qText, _kText, _qImage,
        _kImage;
    private readonly Tensor _attentionAndMlp, _attention, _attentionText, _attentionImage, _mlp, _mlpText, _mlpImage, _branch, _textBranch, _imageBranch;
    private readonly Tensor _textStates, _contexts, _values, _sinusoid, _pooledRows, _vectorA, _vectorB, _vector, _modulations, _modulation;
    private readonly RopeTable _rope, _ropeText, _ropeImage;
    private readonly StreamModulation[] _imageModulation, _textModulation;
    private readonly SingleModulation[] _singleModulation;
    private readonly Modulation _finalModulation;

    internal FluxProgram(IBackend backend, FluxConfig config, FluxWeights weights, FluxShape shape)
        : base(backend, shape.Batch, shape.ImageTokens, config.Width, config.DoubleBlocks, backend.ActivationType)
    {
        (_config, _weights, _shape, Slots) = (config, weights, shape, shape.Slots);
        _softmaxScale = 1f / MathF.Sqrt(config.HeadDim);
        _pooled = new float[shape.Slots][];
        _guidance = new float[shape.Slots][];

        (int batch, int text, int image, int d) = (shape.Batch, shape.TextTokens, shape.ImageTokens, config.Width);
        DType type = backend.ActivationType;
        Arena arena = Arena.Measure();
        _ = new FluxActivations(arena, config, shape, type);
        arena = backend.CreateArena(arena.Used,
            $"FLUX activations for {batch} x {shape.GridHeight * 16}x{shape.GridWidth * 16} pixels (lower the size or the batch)");
        FluxActivations all = new(arena, config, shape, type);
        (Input, Velocity, _tokens, _joint, _norm, _qkv) = (all.Input, all.Velocity, all.Tokens, all.Joint, all.Norm, all.Qkv);
        (_attentionAndMlp, _branch, _textStates, _contexts, _values) = (all.AttentionAndMlp, all.Branch, all.TextStates, all.Contexts, all.Values);
        (_sinusoid, _pooledRows, _vectorA, _vectorB, _vector) = (all.Sinusoid, all.PooledRows, all.VectorA, all.VectorB, all.Vector);
        (_modulations, _modulation, _rope) = (all.Modulations, all.Modulation, all.Rope);
        _arena = arena;
        (_text, _image) = (_joint.SliceRows(0, text), _joint.SliceRows(text, image));
        (_textNorm, _imageNorm) = (_norm.SliceRows(0, text), _norm.SliceRows(text, image));
        (_qkvText, _qkvImage) = (_qkv.SliceRows(0, text), _qkv.SliceRows(text, image));
        (_q, _k, _v) = (_qkv.SliceCols(0, d), _qkv.SliceCols(d, d), _qkv.SliceCols(2 * d, d));
        (_qText, _kText) = (_q.SliceRows(0, text), _k.SliceRows(0, text));
        (_qImage, _kImage) = (_q.SliceRows(text, image), _k.SliceRows(text, image));
        (_attention, _mlp) = (_attentionAndMlp.SliceCols(0, d), _attentionAndMlp.SliceCols(d, config.MlpWidth));
        (_attentionText, _attentionImage) = (_attention.SliceRows(0, text), _attention.SliceRows(text, image));
        (_mlpText, _mlpImage) = (_mlp.SliceRows(0, text), _mlp.SliceRows(text, image));
        (_textBranch, _imageBranch) = (_branch.SliceRows(0, text), _branch.SliceRows(text, image));
        (_ropeText, _ropeImage) = (_rope.Slice(0, text), _rope.Slice(text, image));

        int at = 0;
        Tensor Next()
        {
            Tensor chunk = _modulation.SliceCols(at, d);
            at += d;
            return chunk;
        }

        Modulation NextNorm()
        {
            Tensor shift = Next();
            return new Modulation(shift, Next());
        }

        StreamModulation NextStream()
        {
            Modulation attention = NextNorm();
            Tensor gate = Next();
            Modulation mlp = NextNorm();
            return new StreamModulation(attention, gate, mlp, Next());
        }

        _imageModulation = new StreamModulation[config.DoubleBlocks];
        _textModulation = new StreamModulation[config.DoubleBlocks];
        for (int i = 0; i < config.DoubleBlocks; i++)
        {
            (_imageModulation[i], _textModulation[i]) = (NextStream(), NextStream());
        }

        _singleModulation = new SingleModulation[config.SingleBlocks];
        for (int i = 0; i < config.SingleBlocks; i++)
        {
            _singleModulation[i] = new SingleModulation(NextNorm(), Next());
        }

        _finalModulation = NextNorm();
        UploadRope();
        backend.Synchronize();
    }

    /// <inheritdoc/>
    public override Tensor Input { get; }

    /// <inheritdoc/>
    public override Tensor Velocity { get; }

    /// <inheritdoc/>
    public override long ActivationBytes => _arena.Capacity;

    /// <summary>Sets the conditions of a slot. Call before <see cref="DiTProgram.SetTimesteps"/>.</summary>
    /// <param name="slot">Index of the slot.</param>
    /// <param name="textStates">Text encoder states [B, Ltxt, joint width].</param>
    /// <param name="pooled">Pooled text embedding [B, pooled width].</param>
    /// <param name="guidance">Distilled guidance scale of each sample, [B]; ignored by a model without guidance embedding.</param>
    /// <exception cref="ArgumentException">There is no such slot, or a length does not fit the shape of the program.</exception>
    public void SetConditions(int slot, ReadOnlySpan<float> textStates, ReadOnlySpan<float> pooled, ReadOnlySpan<float> guidance)
    {
        using Use use = Enter();
        RequireSlot(slot);
        if (textStates.Length != _textStates.Count || pooled.Length != Batch * _config.PooledDim || (_config.GuidanceEmbeds && guidance.Length != Batch))
        {
            throw new ArgumentException(
                $"conditions of {textStates.Length}, {pooled.Length} and {guidance.Length} elements do not fit: text states need {_textStates.Count}, "
                + $"pooled {Batch * _config.PooledDim}, guidance {Batch}");
        }

        _pooled[slot] = pooled.ToArray();
        _guidance[slot] = guidance.ToArray();
        Backend.Upload(textStates, _textStates);
        Backend.Linear(_textStates, _weights.TextIn, _contexts.SliceBatch(slot * Batch, Batch));
        Observe("context_embedder", _contexts.SliceBatch(slot * Batch, Batch));
        Backend.Synchronize();
        HasConditions(slot);
    }

    /// <inheritdoc/>
    protected override void OnSetTimesteps(ReadOnlySpan<float> timesteps)
    {
        int slots = _shape.Slots, rows = timesteps.Length * slots * Batch;
        if (timesteps.Length > _shape.MaxSteps)
        {
            throw new ArgumentException($"{timesteps.Length} time steps, but the program was made for {_shape.MaxSteps}", nameof(timesteps));
        }

        float[] times = new float[rows], guidances = new float[rows], pooled = new float[rows * _config.PooledDim];
        for (int row = 0; row < rows; row++)
        {
            int sample = row % Batch, slot = row / Batch % slots;
            times[row] = timesteps[row / (slots * Batch)];
            guidances[row] = _config.GuidanceEmbeds ? _guidance[slot][sample] * GuidanceScale : 0;
            _pooled[slot].AsSpan(sample * _config.PooledDim, _config.PooledDim).CopyTo(pooled.AsSpan(row * _config.PooledDim));
        }

        IBackend b = Backend;
        Tensor values = _values.SliceBatch(0, rows), sinusoid = _sinusoid.SliceRows(0, rows), vector = _vector.SliceRows(0, rows),
            active = _vectorA.SliceRows(0, rows);
        EmbedScalars(times, _weights.TimeIn, "time_proj", "timestep_embedder", values, sinusoid);
        b.Activate(_vectorB.SliceRows(0, rows), vector);
        if (_weights.GuidanceIn is { } guidanceIn)
        {
            EmbedScalars(guidances, guidanceIn, "guidance_proj", "guidance_embedder", values, sinusoid);
            b.GatedResidual(vector, _vectorB.SliceRows(0, rows), default, vector);
        }

        Tensor pooledRows = _pooledRows.SliceRows(0, rows);
        b.Upload(pooled, pooledRows);
        Embedder(pooledRows, _weights.PooledIn, "text_embedder");
        b.GatedResidual(vector, _vectorB.SliceRows(0, rows), default, vector);
        Observe("temb", vector);
        Observe("rotary_cos", _rope.Cos);
        Observe("rotary_sin", _rope.Sin);

        // Every modulation of every step in one product per layer: their weights are a quarter of the model and would be read again each step.
        b.Activate(vector, active, Epilogue.Silu);
        int at = 0;
        void Modulate(LinearWeight weight)
        {
            b.Linear(active, weight, _modulations.SliceRows(0, rows).SliceCols(at, weight.OutFeatures));
            at += weight.OutFeatures;
        }

        foreach (FluxDoubleWeights block in _weights.Double)
        {
            Modulate(block.Image.Modulation);
            Modulate(block.Text.Modulation);
        }

        foreach (FluxSingleWeights block in _weights.Single)
        {
            Modulate(block.Modulation);
        }

        Modulate(_weights.FinalModulation);
        b.Synchronize();
    }

    /// <inheritdoc/>
    protected override void OnSelect(int step, int slot)
    {
        Tensor rows = _modulations.SliceRows(((step * _shape.Slots) + slot) * Batch, Batch);
        Backend.Activate(rows.Reshape(Batch, 1, _config.ModulationWidth), _modulation);
        Backend.Activate(_contexts.SliceBatch(slot * Batch, Batch), _text);
    }

    /// <inheritdoc/>
    protected override void OnEmbed(in Tensor x0)
    {
        if (_tokens != Input)
        {
            Backend.Activate(Input, _tokens);
        }

        Backend.Linear(_tokens, _weights.ImageIn, x0);
        Observe("x_embedder", x0);
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
        ResidualExtras record = new(ResidualOrigin: x0, Residual: residual);
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

        Observe("hidden_before_norm_out", _image);
    }

    /// <inheritdoc/>
    protected override void OnHead()
    {
        Backend.LayerNormModulate(_image, _finalModulation, _imageNorm);
        Project();
    }

    /// <inheritdoc/>
    protected override void OnAlignedHead(in BlendInputs blend, ProbeForm form)
    {
        Backend.TrajectoryBlend(blend, KeepsBlend(form) ? _image : default, form, new NextNorm(_finalModulation, _imageNorm));
        Observe("hidden_before_norm_out", _image);
        Project();
    }

    /// <inheritdoc/>
    public override SegmentFlops Flops(int probeDepth)
    {
        double b = Batch, image = _shape.ImageTokens, length = _shape.Tokens, d = _config.Width, f = _config.MlpWidth;
        double attention = 4 * b * length * length * d;
        double block = (2 * b * length * d * ((4 * d) + (2 * f))) + attention;
        double embed = 2 * b * image * _config.InChannels * d, head = 2 * b * image * d * _config.OutChannels;
        return new SegmentFlops(embed, probeDepth * block, (_config.DoubleBlocks + _config.SingleBlocks - probeDepth) * block, head);
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
        Observe("norm_out", _imageNorm);
        Backend.Linear(_imageNorm, _weights.FinalProjection, Velocity);
        Observe("proj_out", Velocity);
        Observe("output", Velocity);
    }

    private void EmbedScalars(float[] scalars, (LinearWeight In, LinearWeight Out) weights, string projection, string embedder, in Tensor values,
        in Tensor sinusoid)
    {
        Backend.Upload(scalars, values);
        Backend.TimestepEmbed(values, sinusoid.Reshape(scalars.Length, 1, SinusoidWidth));
        Observe("temb." + projection, sinusoid);
        Embedder(sinusoid, weights, embedder);
    }

    // in -> SiLU -> out, into _vectorB.
    private void Embedder(in Tensor x, (LinearWeight In, LinearWeight Out) weights, string name)
    {
        Backend.Linear(x, weights.In, _vectorA.SliceRows(0, x.Rows), Epilogue.Silu);
        Backend.Linear(_vectorA.SliceRows(0, x.Rows), weights.Out, _vectorB.SliceRows(0, x.Rows));
        Observe("temb." + name, _vectorB.SliceRows(0, x.Rows));
    }

    // Text tokens stand at position (0, 0, 0), image tokens at (0, row, column).
    private void UploadRope()
    {
        int half = _config.HeadDim / 2, text = _shape.TextTokens * half;
        float[] cos = new float[_shape.Tokens * half], sin = new float[_shape.Tokens * half];
        cos.AsSpan(0, text).Fill(1);
        RotaryTable.Fill(new LatentSize(1, _shape.GridHeight, _shape.GridWidth), _config.RopeAxes, RopeTheta, cos.AsSpan(text), sin.AsSpan(text));
        Backend.Upload(cos, _rope.Cos);
        Backend.Upload(sin, _rope.Sin);
    }

    private readonly record struct StreamModulation(Modulation Attention, Tensor AttentionGate, Modulation Mlp, Tensor MlpGate);

    private readonly record struct SingleModulation(Modulation Norm, Tensor Gate);
}
