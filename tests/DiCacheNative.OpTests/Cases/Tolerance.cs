namespace DiCacheNative.OpTests.Cases;

/// <summary>How far a result may be from the reference.</summary>
/// <param name="Nmse">sum (result - reference)^2 / sum reference^2.</param>
/// <param name="MaxAbs">Largest difference of one element, relative to the reference where that is beyond 1.</param>
public readonly record struct Tolerance(double Nmse, double MaxAbs);
