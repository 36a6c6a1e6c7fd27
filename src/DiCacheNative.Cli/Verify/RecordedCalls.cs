using System.Text.Json;
using DiCacheNative.Caching;
using DiCacheNative.Models;

namespace DiCacheNative.Cli.Verify;

/// <summary>The model calls of a session, in the terms in which the published scripts were recorded.</summary>
/// <param name="policy">The cache.</param>
/// <param name="probeBlocks">Blocks that a probe may run at most.</param>
internal sealed class RecordedCalls(ICachePolicy policy, int probeBlocks)
{
    /// <summary>Members of a run's records.json that describe how it was made.</summary>
    public static readonly IReadOnlyDictionary<string, string> NotCompared = new Dictionary<string, string>
    {
        ["case"] = "the settings, from which the run is made",
        ["scheduler_config"] = "the settings of the noise levels, which the scheduler's own file holds",
        ["mu"] = "shows in every noise level",
        ["seq_len"] = "the number of tokens, from which the run is made",
        ["num_steps_counter"] = "calls per run, which the number of steps says",
        ["noise_floor_f32_vs_f64"] = "how far the reference's own binary32 run lies from its binary64 run: sets the gates",
        ["max_relative_f32_error_of_scalars"] = "the same of its scalars",
        ["smallest_relative_margin_to_threshold"] = "the smallest of margin_to_threshold",
        ["summary"] = "compared member by member",
        ["steps"] = "compared call by call",
    };

    private readonly WatchedPolicy? _watched = policy is NoCachePolicy ? null : new WatchedPolicy(policy);
    private readonly List<CacheTraceRow> _rows = [];

    /// <summary>The policy to give to the session: it notes the state that is passed to it.</summary>
    public ICachePolicy Policy => _watched ?? policy;

    /// <summary>Takes on the last call of a session.</summary>
    public void Add(DiTSession session) => _rows.Add(session.Trace[^1]);

    /// <summary>Where a call stands, its decision and the scalars behind it: what every script has.</summary>
    /// <param name="call">Index of the call.</param>
    public Dictionary<string, object?> Facts(int call)
    {
        CacheTraceRow row = _rows[call];
        Dictionary<string, object?> facts = new() { ["decision"] = Word(row.Decision) };
        if (_watched is not null)
        {
            facts["probed"] = row.DeltaY.HasValue;
            facts["delta_x"] = row.DeltaX;
            facts["delta_y"] = row.DeltaY;
            facts["error"] = row.Error;
            facts["accumulated_with_error"] = row.Accumulated;
            facts["formula"] = row.Decision != StepDecision.Skip ? null : row.Gamma.HasValue ? "alignment" : "residual_reuse";
            facts["gamma_raw"] = row.GammaRaw;
            facts["gamma"] = row.Gamma;
        }

        return facts;
    }

    /// <summary>Adds what the state of the cache was before and after a call.</summary>
    /// <param name="facts">From <see cref="Facts"/>.</param>
    /// <param name="call">Index of the call.</param>
    public void AddState(Dictionary<string, object?> facts, int call)
    {
        if (_watched is null)
        {
            return;
        }

        CacheTraceRow row = _rows[call];
        LaneState before = _watched.States[call];
        int next = _rows.FindIndex(call + 1, r => r.Branch == row.Branch && r.Sample == row.Sample);

        // Nobody sees the state after the last call of a generation.
        bool seen = next > call && _rows[next].Step > row.Step;
        facts["accumulated_before"] = before.Accumulated;
        facts["accumulated_after"] = seen ? _watched.States[next].Accumulated : row.Decision == StepDecision.Skip ? row.Accumulated : 0f;
        facts["residual_window_len_before"] = before.ComputedSteps;
        facts["probe_state_refreshed"] = row.Decision != StepDecision.Resume || !policy.KeepsStaleProbe(probeBlocks);
    }

    /// <summary>The decisions of a branch, or of all calls, in one letter each, as the scripts sum a run up.</summary>
    public string Letters(int? branch) => string.Concat(_rows.Where(r => branch is null || r.Branch == branch).Select(r => r.Decision switch
    {
        StepDecision.Full => 'F',
        StepDecision.Resume => 'R',
        _ => 's',
    }));

    /// <summary>Blocks run in a call: a skipped one ran its probe alone.</summary>
    /// <param name="call">Index of the call.</param>
    /// <param name="blocks">Blocks of a kind.</param>
    /// <param name="probed">How many of them a probe runs.</param>
    public int Blocks(int call, int blocks, int probed) => _rows[call].Decision == StepDecision.Skip ? probed : blocks;

    /// <summary>The number of calls with a decision.</summary>
    public int Count(StepDecision decision) => _rows.Count(r => r.Decision == decision);

    /// <summary>Compares the members of a run's records.json beside the calls, and the number of calls.</summary>
    public void CompareRun(Comparer comparer, JsonElement records, Dictionary<string, object?> summary)
    {
        comparer.Record(new Dictionary<string, object?> { ["decisions_same_in_f64"] = true }, records, "the run", NotCompared);
        if (records.GetProperty("steps").GetArrayLength() != _rows.Count)
        {
            comparer.Gap($"{records.GetProperty("steps").GetArrayLength()} calls are recorded of a run of {_rows.Count}");
        }

        summary["full"] = Count(StepDecision.Full);
        summary["resume"] = Count(StepDecision.Resume);
        summary["skip"] = Count(StepDecision.Skip);
        comparer.Record(summary, records.GetProperty("summary"), "the summary of the run");
    }

    private static string Word(StepDecision decision) => decision switch { StepDecision.Full => "full", StepDecision.Skip => "skip", _ => "resume" };
}
