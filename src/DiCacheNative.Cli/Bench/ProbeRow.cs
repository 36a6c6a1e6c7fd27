namespace DiCacheNative.Cli.Bench;

/// <summary>What one form of probe and blend costs in a skipped step.</summary>
/// <param name="Form">unfused, fused or epilogue.</param>
/// <param name="Launches">Kernels launched (on the CPU: passes over memory) beyond those of a step that only runs its probe block and head.</param>
/// <param name="Bytes">Bytes of the operands that the backend got, each read and written once; for the epilogue, those beyond such a step.</param>
/// <param name="Us">Microseconds; for the epilogue, those beyond such a step, round by round.</param>
/// <param name="ShareOfLimit">Time that those bytes take at the copy bandwidth of the same run, over the median; null where the median is not above
/// zero.</param>
/// <param name="ShareOfBlock">Of the time of one block.</param>
/// <param name="ShareOfStep">Of the time of a full step.</param>
internal sealed record ProbeRow(string Form, long Launches, long Bytes, Distribution Us, double? ShareOfLimit, double ShareOfBlock, double ShareOfStep)
{
    /// <summary>A difference of no time, or more than the limit, is noise of the machine.</summary>
    public bool IsNoise => ShareOfLimit is null or > Shares.Most;
}

/// <summary>Result of <see cref="ProbeBenchmark"/>.</summary>
/// <param name="Rows">One per form.</param>
/// <param name="Limits">What the limit is.</param>
/// <param name="CopyGbPerS">Bandwidth of a copy, read and written bytes counted.</param>
/// <param name="MapBytes">Bytes of one feature map.</param>
/// <param name="BlockMs">Time of a block, from its operations and the rate of a measured block of the same width.</param>
/// <param name="Equal">Whether all forms gave the same sums and the same normalised output, bit for bit.</param>
/// <param name="Rounds">Counted rounds.</param>
/// <param name="Discarded">Rounds before them.</param>
internal sealed record ProbeResult(IReadOnlyList<ProbeRow> Rows, string Limits, double CopyGbPerS, long MapBytes, double BlockMs, bool Equal, int Rounds,
    int Discarded);
