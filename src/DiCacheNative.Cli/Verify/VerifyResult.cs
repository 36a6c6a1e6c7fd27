namespace DiCacheNative.Cli.Verify;

/// <summary>Error of one quantity of a case against its reference.</summary>
/// <param name="Name">Name in the golden data.</param>
/// <param name="MaxAbs">Largest absolute error (relative for scalars); infinity when one side is not finite and the other differs.</param>
/// <param name="Gate">Largest error that passes.</param>
internal sealed record Comparison(string Name, double MaxAbs, double Gate)
{
    public bool Passed => MaxAbs <= Gate;
}

/// <summary>Outcome of a case.</summary>
/// <param name="Name">Folder of the case below the one given, with the checkpoint layout where there are two.</param>
/// <param name="Comparisons">Every quantity compared.</param>
/// <param name="Decisions">Null when all decisions were identical (or there were none), otherwise the first difference.</param>
/// <param name="Gaps">What was recorded and compared with nothing, or should have been recorded and was not; one sentence each.</param>
internal sealed record VerifyResult(string Name, IReadOnlyList<Comparison> Comparisons, string? Decisions, IReadOnlyList<string> Gaps)
{
    public bool DecisionsMatch => Decisions is null;

    public bool Passed => DecisionsMatch && Gaps.Count == 0 && Comparisons.Count > 0 && Comparisons.All(c => c.Passed);

    /// <summary>The comparison closest to its gate, or farthest beyond.</summary>
    public Comparison? Worst => Comparisons.Count == 0 ? null : Comparisons.MaxBy(c => c.MaxAbs / c.Gate);
}

/// <summary>A case that can be run.</summary>
/// <param name="Name">Name to report.</param>
/// <param name="Run">Runs it on a backend.</param>
internal sealed record GoldenCase(string Name, Func<Backends.IBackend, VerifyResult> Run)
{
    /// <summary>Whether it runs a whole pipeline, whose folder can be named.</summary>
    public bool UsesModel { get; init; }
}
