namespace DiCacheNative.Cli.Bench;

/// <summary>What one form of probe and blend costs in a skipped step.</summary>
/// <param name="Form">unfused, fused or epilogue.</param>
/// <param name="Launches">Kernels launched (on the CPU: passes over memory) beyond those of a step that only runs its probe block and head.</param>
/// <param name="Bytes">Bytes it must move.</param>
/// <param name="MedianUs">Microseconds, median.</param>
/// <param name="ShareOfLimit">Time those bytes take at the copy bandwidth of the same run, over the time taken; 1 is the memory limit.</param>
/// <param name="ShareOfBlock">Of the time of one block.</param>
/// <param name="ShareOfStep">Of the time of a full step.</param>
internal sealed record ProbeRow(string Form, long Launches, long Bytes, double MedianUs, double ShareOfLimit, double ShareOfBlock, double ShareOfStep);

/// <summary>Result of <see cref="ProbeBenchmark"/>.</summary>
/// <param name="Rows">One per form.</param>
/// <param name="CopyGbPerS">Bandwidth of a copy of a feature map, read and written bytes counted.</param>
/// <param name="BlockMs">Time of a block, from its operations and the rate of a measured block of the same width.</param>
/// <param name="Equal">Whether all forms gave the same sums and the same normalised output, bit for bit.</param>
/// <param name="Rounds">Measurements behind each median.</param>
internal sealed record ProbeResult(IReadOnlyList<ProbeRow> Rows, double CopyGbPerS, double BlockMs, bool Equal, int Rounds);
