using DiCacheNative.Backends;
using DiCacheNative.Models;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Verify;

/// <summary>A backbone without a network: embedding and head are the identity, and block k adds a given tensor. Shows the caching rules alone.</summary>
internal sealed class ScriptedProgram : DiTProgram
{
    private readonly Arena _arena;
    private readonly Tensor[] _adds;
    private readonly Tensor _hidden;
    private readonly int _blocks;

    public ScriptedProgram(IBackend backend, int rows, int width, int blocks)
        : base(backend, 1, rows, width, blocks, backend.ActivationType)
    {
        _blocks = blocks;
        _arena = backend.CreateArena((blocks + 3L) * (((long)rows * width * 4) + Arena.Alignment), "a scripted backbone");
        Input = _arena.Allocate(DType.F32, 1, rows, width);
        Velocity = _arena.Allocate(DType.F32, 1, rows, width);
        _hidden = _arena.Allocate(FeatureType, 1, rows, width);
        _adds = [.. Enumerable.Range(0, blocks).Select(_ => _arena.Allocate(FeatureType, 1, rows, width))];
    }

    public override Tensor Input { get; }

    public override Tensor Velocity { get; }

    public override long ActivationBytes => _arena.Capacity;

    /// <summary>Sets what each block adds in the next call, [blocks, rows, width].</summary>
    public void Script(ReadOnlySpan<float> adds)
    {
        int each = adds.Length / _blocks;
        for (int i = 0; i < _blocks; i++)
        {
            Backend.Upload(adds.Slice(i * each, each), _adds[i]);
        }

        Backend.Synchronize();
    }

    protected override void OnSetTimesteps(ReadOnlySpan<float> sigmas)
    {
    }

    protected override void OnSelect(int step, int slot)
    {
    }

    protected override void OnEmbed(in Tensor x0) => Backend.Activate(Input, x0);

    protected override void OnProbe(int depth, in Tensor x0, in Tensor p, in ResidualExtras extras)
    {
        for (int i = 0; i < depth; i++)
        {
            bool last = i == depth - 1;
            Backend.GatedResidual(i == 0 ? x0 : _hidden, _adds[i], default, last ? p : _hidden, last ? extras : default);
        }
    }

    protected override void OnBody(int depth, in Tensor x0, in Tensor p, in Tensor residual)
    {
        Backend.Activate(p, _hidden);
        for (int i = depth; i < _blocks; i++)
        {
            Backend.GatedResidual(_hidden, _adds[i], default, _hidden);
        }

        if (!residual.IsEmpty)
        {
            Backend.Subtract(_hidden, x0, residual);
        }
    }

    protected override void OnHead() => Backend.Activate(_hidden, Velocity);

    protected override void OnAlignedHead(in BlendInputs blend, ProbeForm form)
    {
        Backend.TrajectoryBlend(blend, _hidden, form);
        OnHead();
    }

    public override SegmentFlops Flops(int probeDepth) => new(0, probeDepth, _blocks - probeDepth, 0);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _arena.Dispose();
        }
    }
}
