using System.CommandLine;
using System.Globalization;
using DiCacheNative.Caching;

namespace DiCacheNative.Cli;

/// <summary>The cache options of a command line: stable-diffusion.cpp's spelling, and the published scripts' names as aliases.</summary>
internal sealed class CacheArguments
{
    private static readonly string[] s_keys =
        ["profile", "threshold", "probe-depth", "ret-ratio", "error", "reuse", "gamma-min", "gamma-max", "scope", "last-step-full", "interval"];

    private readonly Option<string> _mode = new("--cache-mode") { Description = "none, dicache or interval", DefaultValueFactory = _ => "none" };
    private readonly Option<string?> _option = new("--cache-option")
    {
        Description = "settings of the cache: \"key=value,...\" with " + string.Join(", ", s_keys),
    };

    private readonly Option<double?> _threshold = new("--rel_l1_thresh", "--cache-threshold") { Description = "same as threshold in --cache-option" };
    private readonly Option<double?> _ratio = new("--ret_ratio") { Description = "same as ret-ratio in --cache-option" };
    private readonly Option<int?> _depth = new("--probe_depth") { Description = "same as probe-depth in --cache-option" };
    private readonly Option<string?> _replay = new("--cache-replay") { Description = "repeat the decisions of a trace written by --cache-trace" };

    public CacheArguments(Command command)
    {
        _mode.AcceptOnlyFromAmong("none", "dicache", "interval");
        foreach (Option option in new Option[] { _mode, _option, _threshold, _ratio, _depth, _replay })
        {
            command.Options.Add(option);
        }
    }

    /// <summary>Mode as reports name it.</summary>
    public string Mode(ParseResult result) => result.GetValue(_replay) is null ? result.GetValue(_mode)! : "replay";

    /// <summary>Makes the policy.</summary>
    /// <exception cref="ArgumentException">An unknown key, a value of the wrong kind or out of range, or a setting the mode does not have.</exception>
    public ICachePolicy Create(ParseResult result)
    {
        Dictionary<string, string> settings = Settings(result);
        string mode = result.GetValue(_mode)!;
        if (result.GetValue(_replay) is { } trace)
        {
            return mode == "none" && settings.Count == 0 ? CacheOptions.Replay(trace)
                : throw new ArgumentException("--cache-replay repeats recorded decisions and goes with no other cache option");
        }

        switch (mode)
        {
            case "dicache":
                Only(settings, mode, s_keys[..^1]);
                return new DiCachePolicy(Options(settings));
            case "interval":
                Only(settings, mode, ["interval", "ret-ratio", "last-step-full"]);
                return new IntervalPolicy((int)Number(settings, "interval", 2), Number(settings, "ret-ratio", 0), Switch(settings, "last-step-full", true));
            default:
                Only(settings, mode, []);
                return NoCachePolicy.Instance;
        }
    }

    private static DiCacheOptions Options(Dictionary<string, string> settings)
    {
        DiCacheOptions profile = Choose(
            settings, "profile", DiCacheOptions.Default, ("default", DiCacheOptions.Default), ("flux", DiCacheOptions.Flux), ("wan", DiCacheOptions.Wan), ("hunyuan", DiCacheOptions.Hunyuan));
        ProbeError error = Choose(settings, "error", profile.Error, ("delta_y", ProbeError.DeltaY), ("delta_minus", ProbeError.DeltaMinus));

        // Metric and threshold belong together: one metric's threshold on the other skips far too much, or never.
        if (error == ProbeError.DeltaMinus && !settings.ContainsKey("threshold"))
        {
            profile = profile with { Threshold = 0.08f, RetRatio = profile.Profile == "flux" ? 0 : profile.RetRatio };
        }

        return profile with
        {
            Error = error,
            Threshold = (float)Number(settings, "threshold", profile.Threshold),
            ProbeDepth = (int)Number(settings, "probe-depth", profile.ProbeDepth),
            RetRatio = Number(settings, "ret-ratio", profile.RetRatio),
            Reuse = Choose(settings, "reuse", profile.Reuse, ("align", CacheReuse.TrajectoryAlignment), ("residual", CacheReuse.ReuseResidual)),
            GammaMin = (float)Number(settings, "gamma-min", profile.GammaMin),
            GammaMax = (float)Number(settings, "gamma-max", profile.GammaMax),
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

        foreach (string pair in (result.GetValue(_option) ?? string.Empty).Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new ArgumentException($"--cache-option takes \"key=value,...\"; \"{pair}\" has no key and value");
            }

            string key = pair[..equals].Trim().Replace('_', '-').ToLowerInvariant();
            Add(key is "rel-l1-thresh" ? "threshold" : key, pair[(equals + 1)..].Trim());
        }

        string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
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
                s_keys.Contains(unknown) ? $"cache option {unknown} has no meaning with --cache-mode {mode}" : $"cache option {unknown} is not known; known are {string.Join(", ", s_keys)}");
        }
    }

    private static double Number(Dictionary<string, string> settings, string key, double fallback)
    {
        if (!settings.TryGetValue(key, out string? text))
        {
            return fallback;
        }

        bool whole = key is "probe-depth" or "interval";
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value) && (!whole || (value == Math.Floor(value) && Math.Abs(value) < 1e6))
            ? value : throw new ArgumentException($"cache option {key} must be {(whole ? "a whole number" : "a number")}, not \"{text}\"");
    }

    private static bool Switch(Dictionary<string, string> settings, string key, bool fallback) =>
        Choose(settings, key, fallback, ("true", true), ("false", false), ("1", true), ("0", false));

    private static T Choose<T>(Dictionary<string, string> settings, string key, T fallback, params ReadOnlySpan<(string Name, T Value)> choices)
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

        throw new ArgumentException($"cache option {key} must be one of {string.Join(", ", names)}, not \"{text}\"");
    }
}
