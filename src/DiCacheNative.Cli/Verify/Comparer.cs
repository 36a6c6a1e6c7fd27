using System.Globalization;
using System.Text.Json;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Verify;

/// <summary>Collects the comparisons of one case.</summary>
internal sealed class Comparer
{
    /// <summary>Relative gate of scalars: changes, errors and gamma.</summary>
    public const double ScalarGate = 1e-4;

    private readonly Dictionary<string, Comparison> _worst = [];
    private readonly Dictionary<string, string> _expected = [];
    private readonly List<(string Name, string By)> _covered = [];
    private readonly List<string> _gaps = [];
    private string? _decisions;

    /// <summary>Compares values; a name used again keeps the larger error. No values, or another number of them, are an infinite one.</summary>
    public void Tensor(string name, ReadOnlySpan<float> actual, ReadOnlySpan<double> expected, double gate)
    {
        double worst = actual.Length == expected.Length && actual.Length > 0 ? 0 : double.PositiveInfinity;
        for (int i = 0; i < Math.Min(actual.Length, expected.Length); i++)
        {
            worst = Math.Max(worst, Distance(actual[i], expected[i]));
        }

        Add(name, worst, gate);
    }

    /// <summary>Compares values with a tensor of a golden file.</summary>
    public void Tensor(string name, ReadOnlySpan<float> actual, in HostTensor expected, double gate) => Tensor(name, actual, expected.ToDoubles(), gate);

    /// <summary>Compares a scalar, relative to the expected value.</summary>
    public void Scalar(string name, double actual, double expected, double gate = ScalarGate) =>
        Add(name, expected == 0 || !double.IsFinite(expected) ? Distance(actual, expected) : Distance(actual, expected) / Math.Abs(expected), gate);

    /// <summary>Compares a truth value.</summary>
    public void Equal(string name, bool equal) => Add(name, equal ? 0 : double.PositiveInfinity, 0.5);

    /// <summary>Notes a difference of decisions, the first one only.</summary>
    public void Differs(string difference) => _decisions ??= difference;

    /// <summary>Notes that something could not be compared, which fails the case.</summary>
    public void Gap(string sentence) => _gaps.Add(sentence);

    /// <summary>Names that must have been compared when the case ends.</summary>
    /// <param name="names">Names in the golden data.</param>
    /// <param name="source">Where they stand.</param>
    public void Expect(IEnumerable<string> names, string source)
    {
        foreach (string name in names)
        {
            _expected.TryAdd(name, source);
        }
    }

    /// <summary>Counts a name as compared whose values were compared under another one.</summary>
    public void Covers(string name, string by) => _covered.Add((name, by));

    /// <summary>
    /// Compares the members of a recorded object, in both directions: a member that is missing, and one that nothing is compared with, fail
    /// the case.
    /// </summary>
    /// <param name="facts">What this engine has: numbers, truth values, texts, lists of whole numbers, <see cref="Difference"/>; or null.</param>
    /// <param name="record">What was recorded.</param>
    /// <param name="where">Where in the run.</param>
    /// <param name="omitted">Members that are not compared, with the reason.</param>
    public void Record(IReadOnlyDictionary<string, object?> facts, JsonElement record, string where, IReadOnlyDictionary<string, string>? omitted = null)
    {
        // After another decision everything else differs too.
        if (facts.TryGetValue("decision", out object? decision) && record.TryGetProperty("decision", out JsonElement recorded)
            && recorded.GetString() != (string?)decision)
        {
            Differs($"{where}: {decision} instead of {recorded.GetString()}");
            return;
        }

        foreach ((string name, object? fact) in facts)
        {
            if (record.TryGetProperty(name, out JsonElement expected))
            {
                Member(name, fact, expected, where);
            }
            else
            {
                Gap($"{where}: {name} is not recorded");
            }
        }

        foreach (JsonProperty member in record.EnumerateObject())
        {
            if (!facts.ContainsKey(member.Name) && omitted?.ContainsKey(member.Name) != true)
            {
                Gap($"{where}: {member.Name} is recorded, and compared with nothing");
            }
        }
    }

    /// <summary>Finishes the case.</summary>
    public VerifyResult Result(string name)
    {
        foreach ((string covered, string by) in _covered)
        {
            if (_worst.ContainsKey(by))
            {
                _expected.Remove(covered);
            }
        }

        IEnumerable<string> missed = _expected.Where(e => !_worst.ContainsKey(e.Key)).Select(e => $"{e.Key} of {e.Value} was compared with nothing");
        return new VerifyResult(name, [.. _worst.Values], _decisions, [.. _gaps, .. missed]);
    }

    /// <summary>A number, or one of the strings "NaN", "Infinity" and "-Infinity"; null when it is not there.</summary>
    public static double? Number(JsonElement parent, string key) =>
        parent.TryGetProperty(key, out JsonElement value) ? NumberOf(value) : null;

    private void Member(string name, object? fact, JsonElement expected, string where)
    {
        if ((fact is null) != (expected.ValueKind == JsonValueKind.Null))
        {
            Gap($"{where}: {name} is {(fact is null ? "not there" : Text(fact))}, and recorded as {expected}");
            return;
        }

        switch (fact)
        {
            case null:
                break;
            case Difference difference when NumberOf(expected) is { } number:
                Add(name, Distance(difference.Value, number) / difference.Scale, ScalarGate);
                break;
            case float or double or int when NumberOf(expected) is { } number:
                Scalar(name, Convert.ToDouble(fact, CultureInfo.InvariantCulture), number);
                break;
            case string text when expected.ValueKind == JsonValueKind.String:
                Require(name, text == expected.GetString(), fact, expected, where);
                break;
            case bool truth when expected.ValueKind is JsonValueKind.True or JsonValueKind.False:
                Require(name, truth == expected.GetBoolean(), fact, expected, where);
                break;
            case int[] list when expected.ValueKind == JsonValueKind.Array:
                Require(name, expected.EnumerateArray().Select(e => e.GetInt32()).SequenceEqual(list), fact, expected, where);
                break;
            default:
                Gap($"{where}: {name} is recorded as {expected}, which is not of the kind of {Text(fact)}");
                break;
        }
    }

    private static double? NumberOf(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number => value.GetDouble(),
        JsonValueKind.String => value.GetString() switch
        {
            "NaN" => double.NaN,
            "Infinity" => double.PositiveInfinity,
            "-Infinity" => double.NegativeInfinity,
            _ => null,
        },
        _ => null,
    };

    private void Require(string name, bool equal, object fact, JsonElement expected, string where)
    {
        Equal(name, equal);
        if (!equal)
        {
            Differs($"{where}: {name} {Text(fact)} instead of {expected}");
        }
    }

    private static string Text(object fact) =>
        fact is int[] list ? $"[{string.Join(", ", list)}]" : Convert.ToString(fact, CultureInfo.InvariantCulture) ?? string.Empty;

    private void Add(string name, double error, double gate)
    {
        if (!_worst.TryGetValue(name, out Comparison? known) || error / gate > known.MaxAbs / known.Gate)
        {
            _worst[name] = new Comparison(name, error, gate);
        }
    }

    private static double Distance(double a, double b)
    {
        if (double.IsNaN(a) && double.IsNaN(b) || a == b)
        {
            return 0;
        }

        double distance = Math.Abs(a - b);
        return double.IsNaN(distance) ? double.PositiveInfinity : distance;
    }
}

/// <summary>The difference of two numbers of a scale: its error is taken relative to the scale, for the difference may be as small as it likes.</summary>
/// <param name="Value">The difference.</param>
/// <param name="Scale">Size of what it is the difference of.</param>
internal readonly record struct Difference(double Value, double Scale);
