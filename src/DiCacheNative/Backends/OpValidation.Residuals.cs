using DiCacheNative.Tensors;

namespace DiCacheNative.Backends;

/// <content>Checks of the residual stream and of the DiCache operations.</content>
public static partial class OpValidation
{
    /// <summary>Checks <see cref="IBackend.GatedResidual"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="x">Residual stream [B, L, D].</param>
    /// <param name="y">What is added.</param>
    /// <param name="gate">F32 [B or 1, 1, D], or empty for 1.</param>
    /// <param name="into">Result; may be x or y.</param>
    /// <param name="extras">What else the pass does.</param>
    public static void GatedResidual(
        DType activation, in Tensor x, in Tensor y, in Tensor gate, in Tensor into, in ResidualExtras extras)
    {
        const string op = "gated_residual";
        RequireActivation(op, nameof(x), x, activation);
        RequireActivation(op, nameof(y), y, activation);
        RequireActivation(op, nameof(into), into, activation);
        RequireSameShape(op, nameof(y), y, nameof(x), x);
        RequireSameShape(op, nameof(into), into, nameof(x), x);
        RequireWritable(op, nameof(into), into);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(x), x);
        RequireSameOrDisjoint(op, nameof(into), into, nameof(y), y);
        RequireBroadcastRow(op, nameof(gate), gate, x);
        RequireNextNorm(op, activation, extras.Norm, into, nameof(x), x, nameof(y), y);

        Tensor origin = extras.ResidualOrigin, residual = extras.Residual, sums = extras.ProbeSums;
        if (origin.IsEmpty != residual.IsEmpty)
        {
            throw new ShapeException($"{op}: extras.ResidualOrigin {origin} and extras.Residual {residual} should both be given or both be empty");
        }

        if (!residual.IsEmpty)
        {
            RequireActivation(op, "extras.ResidualOrigin", origin, activation);
            RequireActivation(op, "extras.Residual", residual, activation);
            RequireSameShape(op, "extras.ResidualOrigin", origin, nameof(x), x);
            RequireSameShape(op, "extras.Residual", residual, nameof(x), x);
            RequireWritable(op, "extras.Residual", residual);
            RequireDisjoint(op, "extras.Residual", residual, nameof(into), into);
            RequireSameOrDisjoint(op, "extras.Residual", residual, "extras.ResidualOrigin", origin);
            RequireSameOrDisjoint(op, "extras.Residual", residual, nameof(x), x);
            RequireSameOrDisjoint(op, "extras.Residual", residual, nameof(y), y);
            RequireSameOrDisjoint(op, nameof(into), into, "extras.ResidualOrigin", origin);
            if (!extras.Norm.Output.IsEmpty)
            {
                RequireDisjoint(op, "extras.Norm.Output", extras.Norm.Output, "extras.Residual", residual);
                RequireSameOrDisjoint(op, "extras.Norm.Output", extras.Norm.Output, "extras.ResidualOrigin", origin);
            }
        }

        if (sums.IsEmpty)
        {
            return;
        }

        if (!extras.Probe.Probe.IsEmpty)
        {
            throw new ShapeException($"{op}: extras.Probe.Probe {extras.Probe.Probe} should be empty: the result is the probe");
        }

        RequireProbe(op, activation, extras.Probe, into, sums);
        RequireProbeUntouched(op, extras.Probe, nameof(into), into);
        if (!extras.Norm.Output.IsEmpty)
        {
            RequireProbeUntouched(op, extras.Probe, "extras.Norm.Output", extras.Norm.Output);
        }

        if (!residual.IsEmpty)
        {
            RequireProbeUntouched(op, extras.Probe, "extras.Residual", residual);
        }
    }

    /// <summary>Checks <see cref="IBackend.ProbeL1"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="inputs">Inputs of the probe, all of one shape and type.</param>
    /// <param name="sums">F32 [1, 1, 6].</param>
    public static void ProbeL1(DType activation, in ProbeInputs inputs, in Tensor sums)
    {
        const string op = "probe_l1";
        RequireActivation(op, "inputs.Probe", inputs.Probe, activation);
        RequireProbe(op, activation, inputs, inputs.Probe, sums);
    }

    /// <summary>Checks <see cref="IBackend.TrajectoryBlend"/>.</summary>
    /// <param name="activation">The backend's <see cref="IBackend.ActivationType"/>.</param>
    /// <param name="inputs">Inputs of the alignment.</param>
    /// <param name="into">Result [B, L, D]; may be an input.</param>
    /// <param name="norm">The norm that follows, or none.</param>
    public static void TrajectoryBlend(DType activation, in BlendInputs inputs, in Tensor into, in NextNorm norm)
    {
        const string op = "trajectory_blend";
        Tensor x = inputs.Input, newer = inputs.NewerResidual, older = inputs.OlderResidual;
        RequireActivation(op, "inputs.Input", x, activation);
        RequireActivation(op, "inputs.NewerResidual", newer, activation);
        RequireSameShape(op, "inputs.NewerResidual", newer, "inputs.Input", x);
        if (into.IsEmpty && norm.Output.IsEmpty)
        {
            throw new ShapeException($"{op}: {nameof(into)} and norm.Output are both none, so nothing would be kept");
        }

        if (!into.IsEmpty)
        {
            RequireActivation(op, nameof(into), into, activation);
            RequireSameShape(op, nameof(into), into, "inputs.Input", x);
            RequireWritable(op, nameof(into), into);
            RequireSameOrDisjoint(op, nameof(into), into, "inputs.Input", x);
            RequireSameOrDisjoint(op, nameof(into), into, "inputs.NewerResidual", newer);
        }

        if (!older.IsEmpty)
        {
            RequireActivation(op, "inputs.OlderResidual", older, activation);
            RequireSameShape(op, "inputs.OlderResidual", older, "inputs.Input", x);
            RequireSameOrDisjoint(op, nameof(into), into, "inputs.OlderResidual", older);
            RequireScalar(op, "inputs.Gamma", inputs.Gamma);
            RequireDisjoint(op, nameof(into), into, "inputs.Gamma", inputs.Gamma);
            if (!norm.Output.IsEmpty)
            {
                RequireSameOrDisjoint(op, "norm.Output", norm.Output, "inputs.OlderResidual", older);
                RequireDisjoint(op, "norm.Output", norm.Output, "inputs.Gamma", inputs.Gamma);
            }
        }

        RequireNextNorm(op, activation, norm, into.IsEmpty ? x : into, "inputs.Input", x, "inputs.NewerResidual", newer);
    }

    private static void RequireProbe(string op, DType activation, in ProbeInputs inputs, in Tensor probe, in Tensor sums)
    {
        RequireType(op, "sums", sums, DType.F32);
        if (sums.Batch != 1 || sums.Rows != 1 || sums.Cols != ProbeSums.Count)
        {
            throw new ShapeException($"{op}: sums {sums} should be F32 [1, 1, {ProbeSums.Count}]");
        }

        RequireProbeOperand(op, activation, "PreviousProbe", inputs.PreviousProbe, probe, sums);
        RequireProbeOperand(op, activation, "Input", inputs.Input, probe, sums);
        RequireProbeOperand(op, activation, "PreviousInput", inputs.PreviousInput, probe, sums);
        RequireProbeOperand(op, activation, "OlderProbeResidual", inputs.OlderProbeResidual, probe, sums);
        RequireProbeOperand(op, activation, "NewerProbeResidual", inputs.NewerProbeResidual, probe, sums);
        RequireDisjoint(op, "sums", sums, "probe", probe);
        if (!inputs.PreviousInput.IsEmpty && inputs.Input.IsEmpty)
        {
            throw new ShapeException($"{op}: PreviousInput {inputs.PreviousInput} is given without Input (none)");
        }

        if ((inputs.OlderProbeResidual.IsEmpty && !inputs.NewerProbeResidual.IsEmpty) || (!inputs.OlderProbeResidual.IsEmpty && inputs.Input.IsEmpty))
        {
            throw new ShapeException(
                $"{op}: gamma needs Input {inputs.Input} with OlderProbeResidual {inputs.OlderProbeResidual}, and both with NewerProbeResidual "
                    + $"{inputs.NewerProbeResidual}");
        }
    }

    private static void RequireProbeOperand(string op, DType activation, string name, in Tensor operand, in Tensor probe, in Tensor sums)
    {
        if (operand.IsEmpty)
        {
            return;
        }

        RequireActivation(op, name, operand, activation);
        RequireDisjoint(op, "sums", sums, name, operand);
        if (!operand.SameShape(probe) || operand.Type != probe.Type)
        {
            ThrowPair(op, name, operand, "probe", probe);
        }
    }

    /// <summary>The operands of a probe that rides on a residual addition are read after that addition has written.</summary>
    private static void RequireProbeUntouched(string op, in ProbeInputs probe, string outputName, in Tensor output)
    {
        RequireDisjoint(op, outputName, output, "extras.Probe.PreviousProbe", probe.PreviousProbe);
        RequireDisjoint(op, outputName, output, "extras.Probe.Input", probe.Input);
        RequireDisjoint(op, outputName, output, "extras.Probe.PreviousInput", probe.PreviousInput);
        RequireDisjoint(op, outputName, output, "extras.Probe.OlderProbeResidual", probe.OlderProbeResidual);
        RequireDisjoint(op, outputName, output, "extras.Probe.NewerProbeResidual", probe.NewerProbeResidual);
    }

    private static void RequireNextNorm(
        string op, DType activation, in NextNorm norm, in Tensor into, string firstName, in Tensor first, string secondName, in Tensor second)
    {
        if (norm.Output.IsEmpty)
        {
            return;
        }

        RequireActivation(op, "norm.Output", norm.Output, activation);
        RequireSameShape(op, "norm.Output", norm.Output, "into", into);
        RequireModulation(op, norm.Modulation, into);
        RequireWritable(op, "norm.Output", norm.Output);
        RequireDisjoint(op, "norm.Output", norm.Output, "into", into);
        RequireSameOrDisjoint(op, "norm.Output", norm.Output, firstName, first);
        RequireSameOrDisjoint(op, "norm.Output", norm.Output, secondName, second);
    }
}
