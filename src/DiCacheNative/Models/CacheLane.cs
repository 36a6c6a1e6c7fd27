using DiCacheNative.Backends;
using DiCacheNative.Caching;
using DiCacheNative.Tensors;

namespace DiCacheNative.Models;

/// <summary>
/// What is remembered of one branch and sample: previous probe p', residuals R1, R2 and probe residuals r1, r2 (and x' when the input change is
/// wanted). Every pair is two buffers and a bit that tells which is the newer one; nothing is ever cloned.
/// </summary>
internal sealed class CacheLane
{
    private readonly Tensor[] _probe = new Tensor[2];
    private readonly Tensor[] _input = new Tensor[2];
    private readonly Tensor[] _residual = new Tensor[2];
    private readonly Tensor[] _probeResidual = new Tensor[2];
    private int _probeAt;
    private int _inputAt;
    private int _residualAt;
    private bool _hasProbe;

    /// <summary>Takes the buffers from an arena.</summary>
    /// <param name="arena">Where the buffers come from.</param>
    /// <param name="features">Shape and type of the feature maps.</param>
    /// <param name="policy">Tells which buffers are needed.</param>
    /// <param name="sharedInput">x0 buffer to use when x' need not be kept.</param>
    /// <param name="keepsInput">Whether x' is kept.</param>
    public CacheLane(Arena arena, FeatureShape features, ICachePolicy policy, in Tensor sharedInput, bool keepsInput)
    {
        Tensor Map() => arena.Allocate(features.Type, features.Batch, features.Tokens, features.Width);

        bool caches = policy is not NoCachePolicy;
        bool measures = policy.ProbeDepth > 0;
        bool aligns = policy.Reuse == CacheReuse.TrajectoryAlignment;
        _probe[0] = Map();
        _probe[1] = measures ? Map() : _probe[0];
        _input[0] = keepsInput ? Map() : sharedInput;
        _input[1] = keepsInput ? Map() : sharedInput;
        if (caches)
        {
            _residual[0] = Map();
            _residual[1] = aligns ? Map() : _residual[0];
        }

        if (measures && aligns)
        {
            _probeResidual[0] = Map();
            _probeResidual[1] = Map();
        }
    }

    /// <summary>What the policy sees.</summary>
    public LaneState State { get; private set; }

    /// <summary>Identifies the buffers in use; equal keys mean equal addresses.</summary>
    public int Layout => _probeAt | (_inputAt << 1) | (_residualAt << 2) | ((_hasProbe ? 1 : 0) << 3) | (Math.Min(State.ComputedSteps, 2) << 4)
        | ((GammaDenominator is null ? 0 : 1) << 6);

    /// <summary>Where this call's probe output goes.</summary>
    public Tensor Probe => _probe[_probeAt];

    /// <summary>p'; empty before the first call.</summary>
    public Tensor PreviousProbe => _hasProbe ? _probe[1 - _probeAt] : default;

    /// <summary>Where this call's x0 goes.</summary>
    public Tensor Input => _input[_inputAt];

    /// <summary>x'; empty when it is not kept.</summary>
    public Tensor PreviousInput => _hasProbe && _input[0] != _input[1] ? _input[1 - _inputAt] : default;

    /// <summary>R1: residual of the last computed step; empty before.</summary>
    public Tensor NewerResidual => State.ComputedSteps >= 1 ? _residual[1 - _residualAt] : default;

    /// <summary>R2: residual of the computed step before the last; empty before.</summary>
    public Tensor OlderResidual => State.ComputedSteps >= 2 && _residual[0] != _residual[1] ? _residual[_residualAt] : default;

    /// <summary>r1.</summary>
    public Tensor NewerProbeResidual => State.ComputedSteps >= 1 ? _probeResidual[1 - _residualAt] : default;

    /// <summary>r2.</summary>
    public Tensor OlderProbeResidual => State.ComputedSteps >= 2 ? _probeResidual[_residualAt] : default;

    /// <summary>Where a computed step writes its residual: over R2, which no later step needs.</summary>
    public Tensor ResidualTarget => _residual[_residualAt];

    /// <summary>Where a computed step writes its probe residual.</summary>
    public Tensor ProbeResidualTarget => _probeResidual[_residualAt];

    /// <summary>sum |r1 - r2| once it has been measured: it stays the same until the next computed call.</summary>
    public float? GammaDenominator { get; set; }

    /// <summary>Ends a computed call.</summary>
    /// <param name="keepsProbe">Whether p' is replaced by this call's probe output.</param>
    public void Computed(bool keepsProbe)
    {
        State = new LaneState(State.ComputedSteps + 1, 0, 0);
        _residualAt ^= 1;
        GammaDenominator = null;
        Advance(keepsProbe);
    }

    /// <summary>Ends a skipped call.</summary>
    /// <param name="accumulated">Accumulated error to carry on with.</param>
    /// <param name="probed">Whether the probe ran.</param>
    public void Skipped(float accumulated, bool probed)
    {
        State = State with { Accumulated = accumulated, ConsecutiveSkips = State.ConsecutiveSkips + 1 };
        Advance(probed);
    }

    /// <summary>Forgets everything: a new generation.</summary>
    public void Reset() => (State, _probeAt, _inputAt, _residualAt, _hasProbe, GammaDenominator) = (default, 0, 0, 0, false, null);

    private void Advance(bool keepsProbe)
    {
        _inputAt ^= 1;
        if (keepsProbe)
        {
            _probeAt ^= 1;
            _hasProbe = true;
        }
    }
}
