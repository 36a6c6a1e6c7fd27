namespace DiCacheNative;

/// <summary>A solver of the flow from noise to picture.</summary>
public enum SamplingMethod
{
    /// <summary>Euler's method, for every model.</summary>
    Euler,

    /// <summary>UniPC of second order, for WAN.</summary>
    UniPc,

    /// <summary>DPM-Solver++ of second order, for WAN.</summary>
    DpmPlusPlus,
}
