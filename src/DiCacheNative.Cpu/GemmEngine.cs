namespace DiCacheNative.Cpu;

/// <summary>What multiplies matrices on the CPU.</summary>
public enum GemmEngine
{
    /// <summary>The faster of those that are there.</summary>
    Auto,

    /// <summary>Our own kernels; always there.</summary>
    Managed,

    /// <summary>The oneDNN library, libdnnl, of the system or beside the program.</summary>
    OneDnn,
}
