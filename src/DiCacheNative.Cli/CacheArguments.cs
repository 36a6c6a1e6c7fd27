using System.CommandLine;
using System.Globalization;
using DiCacheNative.Caching;

namespace DiCacheNative.Cli;

/// <summary>The cache options of a command line: stable-diffusion.cpp's spelling, and the published scripts' names as aliases.</summary>
internal sealed class CacheArguments
{
    private const string None = "none";
    private const string DiCache = "dicache";
    private const string Interval = "interval";
    private const int MostBlocks = 1000;
    private const double LargestNumber = 1e6;

    private static readonly string[] s_keys =
    [
        "profile", "threshold", "probe-depth", "ret-ratio", "error", "reuse", "gamma-min", "gamma-max", "scope", "last-step-full", Interval,
    ];

    private static readonly string[] s_intervalKeys = [Interval, "ret-ratio", "last-step-full"];

    private readonly Option<string> _mode = Opt.Choice(
        "--cache-mode",
        $"default: {None}; {DiCache} when another cache option is given ({Interval} for the key {Interval})",
        [None, DiCache, Interval]);

    private readonly Option<string> _option = Opt.Name(
        "--cache-option", "KEY=VALUE,...", "settings of the cache: " + string.Join(", ", s_keys));
    private readonly Option<double?> _threshold = Opt.Number(
        "--rel_l1_thresh", ["--cache-threshold"], "same as threshold in --cache-option", 0, LargestNumber);
    private readonly Option<double?> _ratio = Opt.Number("--ret_ratio", [], "same as ret-ratio in --cache-option", 0, 1);
    private readonly Option<int?> _depth = Opt.Whole("--probe_depth", "same as probe-depth in --cache-option", 1, MostBlocks);
    private readonly Option<string> _replay = Opt.Name(
        "--cache-replay", "FILE", "repeat the decisions of a trace written by --cache-trace");

    public CacheArguments(Command command)
    {
        foreach (Option option in new Option[] { _mode, _option, _threshold, _ratio, _depth, _replay })
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Makes the policy.</summary>
    /// <exception cref="ArgumentException">
    /// An unknown key, a value of the wrong kind or out of range, or a setting without effect on the others.
    /// </exception>
    public CacheChoice Create(ParseResult result)
    {
        Dictionary<string, string> settings = Settings(result);
        if (result.GetValue(_replay) is { } trace)
        {
            return !result.Given(_mode) && settings.Count == 0
                ? new CacheChoice("replay", CacheOptions.Replay(trace), [], new() { ["trace"] = trace })
                : throw new ArgumentException("--cache-replay repeats recorded decisions and goes with no other cache option");
        }

        string mode = result.GetValue(_mode) ?? (settings.Count == 0 ? None : settings.ContainsKey(Interval) ? Interval : DiCache);
        switch (mode)
        {
            case DiCache:
                Only(settings, mode, s_keys[..^1]);
                DiCacheOptions options = Options(settings);
                return new CacheChoice(mode, new DiCachePolicy(options), [.. settings.Keys], Told(options));
            case Interval:
                Only(settings, mode, s_intervalKeys);
                int interval = Whole(settings, Interval, 2);
                double ratio = Number(settings, "ret-ratio", 0, 0, 1);
                bool last = Switch(settings, "last-step-full", true);
                return new CacheChoice(mode, new IntervalPolicy(interval, ratio, last), [.. settings.Keys], new()
                {
                    [Interval] = Text(interval),
                    ["ret-ratio"] = Text(ratio),
                    ["last-step-full"] = Text(last),
                });
            default:
                Only(settings, mode, []);
                return new CacheChoice(mode, NoCachePolicy.Instance, [], []);
        }
    }

    // The settings in full, as --cache-option takes them.
    private static Dictionary<string, string> Told(DiCacheOptions options) => new()
    {
        ["profile"] = options.Profile,
        ["threshold"] = Text(options.Threshold),
        ["probe-depth"] = Text(options.ProbeDepth),
        ["ret-ratio"] = Text(options.RetRatio),
        ["error"] = options.Error == ProbeError.DeltaMinus ? "delta_minus" : "delta_y",
        ["reuse"] = options.Reuse == CacheReuse.ReuseResidual ? "residual" : "align",
        ["gamma-min"] = Text(options.GammaMin),
        ["gamma-max"] = Text(options.GammaMax),
        ["scope"] = options.Scope == DecisionScope.Batch ? "batch" : "sample",
        ["last-step-full"] = Text(options.LastStepFull),
    };

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    private static string Text(bool value) => value ? "true" : "false";

    private static DiCacheOptions Options(Dictionary<string, string> settings)
    {
        DiCacheOptions profile = Choose(
            settings, "profile", DiCacheOptions.Default,
            ("default", DiCacheOptions.Default), ("flux", DiCacheOptions.Flux), ("wan", DiCacheOptions.Wan), ("hunyuan", DiCacheOptions.Hunyuan));
        ProbeError error = Choose(settings, "error", profile.Error, ("delta_y", ProbeError.DeltaY), ("delta_minus", ProbeError.DeltaMinus));

        profile = profile with { Error = error };
        CacheReuse reuse = Choose(
            settings, "reuse", profile.Reuse, ("align", CacheReuse.TrajectoryAlignment), ("residual", CacheReuse.ReuseResidual));
        if (reuse == CacheReuse.ReuseResidual && settings.Keys.FirstOrDefault(k => k is "gamma-min" or "gamma-max") is { } gamma)
        {
            throw new ArgumentException($"cache option {gamma} has no meaning with reuse=residual, which takes the last residual as it is");
        }

        return profile with
        {
            Threshold = (float)Number(settings, "threshold", profile.Threshold, 0, LargestNumber),
            ProbeDepth = Whole(settings, "probe-depth", profile.ProbeDepth),
            RetRatio = Number(settings, "ret-ratio", profile.RetRatio, 0, 1),
            Reuse = reuse,
            GammaMin = (float)Number(settings, "gamma-min", profile.GammaMin, -LargestNumber, LargestNumber),
            GammaMax = (float)Number(settings, "gamma-max", profile.GammaMax, -LargestNumber, LargestNumber),
            Scope = Choose(settings, "scope", profile.Scope, ("sample", DecisionScope.Sample), ("batch", DecisionScope.Batch)),
            LastStepFull = Switch(settings, "last-step-full", profile.LastStepFull),
        };
    }

    private Dictionary<string, string> Settings(ParseResult result)
    {
        Dictionary<string, string> settings = [];
        void Add(string key, string value)
        {
            if (!settings.TryAdd(key, value))
            {
                throw new ArgumentException($"cache option {key} is given twice");
            }
        }

        string? last = null;
        string[] pairs = (result.GetValue(_option) ?? string.Empty).Split(
            ',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (pairs.Length == 0 && result.Given(_option))
        {
            throw new ArgumentException("--cache-option takes \"key=value,...\"; none was given");
        }

        foreach (string pair in pairs)
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
            {
                last = pair[..equals].Trim().Replace('_', '-').ToLowerInvariant();
                Add(last is "rel-l1-thresh" ? "threshold" : last, pair[(equals + 1)..].Trim());
            }
            else
            {
                bool comma = last is not null && pair.All(char.IsAsciiDigit);
                throw new ArgumentException(
                    $"--cache-option takes \"key=value,...\"; \"{pair}\" has no key and value"
                    + (comma ? $" (if it belongs to {last}: decimals are written with a point)" : string.Empty));
            }
        }

        if (result.GetValue(_threshold) is { } threshold)
        {
            Add("threshold", Text(threshold));
        }

        if (result.GetValue(_ratio) is { } ratio)
        {
            Add("ret-ratio", Text(ratio));
        }

        if (result.GetValue(_depth) is { } depth)
        {
            Add("probe-depth", Text(depth));
        }

        return settings;
    }

    private static void Only(Dictionary<string, string> settings, string mode, string[] known)
    {
        string? unknown = settings.Keys.FirstOrDefault(k => !known.Contains(k));
        if (unknown is not null)
        {
            throw new ArgumentException(
                s_keys.Contains(unknown) ? $"cache option {unknown} has no meaning with --cache-mode {mode}"
                    : $"cache option {unknown} is not known; known are {string.Join(", ", s_keys)}");
        }
    }

    private static double Number(Dictionary<string, string> settings, string key, double fallback, double min, double max) =>
        !settings.TryGetValue(key, out string? text) ? fallback
        : Opt.NumberOf(text) is { } value && value >= min && value <= max ? value
        : throw new ArgumentException(
            string.Create(CultureInfo.InvariantCulture, $"cache option {key} must be a number from {min} to {max}, not {Opt.Shown(text)}"));

    private static int Whole(Dictionary<string, string> settings, string key, int fallback) =>
        !settings.TryGetValue(key, out string? text) ? fallback
        : Opt.WholeOf(text, 1, MostBlocks) is { } value ? (int)value
        : throw new ArgumentException($"cache option {key} must be a whole number from 1 to {MostBlocks}, not {Opt.Shown(text)}");

    private static bool Switch(Dictionary<string, string> settings, string key, bool fallback) =>
        Choose(settings, key, fallback, ("true", true), ("false", false), ("1", true), ("0", false));

    private static T Choose<T>(
        Dictionary<string, string> settings, string key, T fallback, params ReadOnlySpan<(string Name, T Value)> choices)
    {
        if (!settings.TryGetValue(key, out string? text))
        {
            return fallback;
        }

        List<string> names = [];
        foreach ((string name, T value) in choices)
        {
            if (name.Equals(text.Replace('-', '_'), StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }

            names.Add(name);
        }

        throw new ArgumentException($"cache option {key} must be one of {string.Join(", ", names)}, not {Opt.Shown(text)}");
    }
}
