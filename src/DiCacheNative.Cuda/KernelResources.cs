namespace DiCacheNative.Cuda;

/// <summary>What one kernel needs on one architecture, as its compiler reports it, beside what the kernel's header allows.</summary>
/// <param name="File">Kernel file.</param>
/// <param name="Kernel">Entry point.</param>
/// <param name="Architecture">As in "sm_90".</param>
/// <param name="Registers">Registers per thread.</param>
/// <param name="SharedBytes">Static shared memory per block in bytes; dynamic shared memory is chosen at launch.</param>
/// <param name="SpillBytes">Bytes stored to and loaded from local memory because registers ran out.</param>
/// <param name="RegisterBudget">Most registers the header allows.</param>
/// <param name="SharedBudget">Most static shared memory the header allows, in bytes.</param>
public sealed record KernelResources(
    string File, string Kernel, string Architecture, int Registers, int SharedBytes, int SpillBytes, int RegisterBudget, int SharedBudget)
{
    /// <summary>True when the kernel keeps what its header promises and spills nothing.</summary>
    public bool WithinBudget => Registers <= RegisterBudget && SharedBytes <= SharedBudget && SpillBytes == 0;
}
