using DiCacheNative.Tensors;

namespace DiCacheNative.OpTests.Cases;

/// <summary>One operation on one shape: what the tests check and the benchmark times.</summary>
/// <param name="Name">Operation, shape and variant.</param>
/// <param name="Flops">Floating-point operations.</param>
/// <param name="Activations">Elements of activations read and written once.</param>
/// <param name="OtherBytes">Bytes of everything else moved: weights, tables.</param>
/// <param name="F32">Tolerance with F32 activations.</param>
/// <param name="BF16">Tolerance with BF16 activations.</param>
/// <param name="Prepare">Makes operands on a backend and returns the call.</param>
public sealed record OpCase(
    string Name, double Flops, double Activations, double OtherBytes, Tolerance F32, Tolerance BF16, Func<CaseSetup, Action> Prepare)
{
    /// <summary>Name of the operation, as its kernel file is called.</summary>
    public string Operation => Name[..Name.IndexOf(' ', StringComparison.Ordinal)];

    /// <summary>Bytes moved.</summary>
    public double Bytes(DType activation) => (Activations * activation.Size()) + OtherBytes;

    /// <summary>Tolerance for an activation type.</summary>
    public Tolerance Tolerance(DType activation) => activation == DType.F32 ? F32 : BF16;

    public override string ToString() => Name;
}
