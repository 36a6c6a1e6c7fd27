using System.Text.Json;
using DiCacheNative.Caching;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cli.Verify;

/// <summary>Collects the comparisons of one case.</summary>
internal sealed class Comparer
{
    /// <summary>Relative gate of scalars: changes, errors and gamma.</summary>
    public const double ScalarGate = 1e-4;

    private readonly Dictionary<string, Comparison> _worst = [];
    private string? _decisions;

    /// <summary>Compares values; a name used again keeps the larger error.</summary>
    public void Tensor(string name, ReadOnlySpan<float> actual, ReadOnlySpan<double> expected, double gate)
    {
        double worst = actual.Length == expected.Length ? 0 : double.PositiveInfinity;
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

    /// <summary>Compares the row of a trace with the record of a golden file: decision, formula, scalars.</summary>
    public void Row(CacheTraceRow row, JsonElement record, string where)
    {
        string expected = record.GetProperty("decision").GetString()!;
        string actual = row.Decision switch { StepDecision.Full => "full", StepDecision.Skip => "skip", _ => "resume" };
        if (actual != expected)
        {
            Differs($"{where}: {actual} instead of {expected}");
            return;
        }

        if (record.TryGetProperty("formula", out JsonElement formula) && formula.ValueKind == JsonValueKind.String && (formula.GetString() == "alignment") != row.Gamma.HasValue)
        {
            Differs($"{where}: {(row.Gamma.HasValue ? "alignment" : "residual reuse")} instead of {formula.GetString()}");
        }

        Recorded("delta_x", row.DeltaX, record);
        Recorded("delta_y", row.DeltaY, record);
        Recorded("error", row.Error, record);
        Recorded("accumulated_with_error", row.Accumulated, record);
        Recorded("gamma_raw", row.GammaRaw, record);
        Recorded("gamma", row.Gamma, record);
    }

    /// <summary>Finishes the case.</summary>
    public VerifyResult Result(string name) => new(name, [.. _worst.Values], _decisions);

    /// <summary>A number, or one of the strings "NaN", "Infinity" and "-Infinity"; null when it is not there.</summary>
    public static double? Number(JsonElement parent, string key) =>
        !parent.TryGetProperty(key, out JsonElement value) ? null : value.ValueKind switch
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

    private void Recorded(string name, float? actual, JsonElement record)
    {
        // A quantity that was measured beside the rule (delta_x, where only delta_y counts) may be missing on either side.
        if (actual is { } value && Number(record, name) is { } expected)
        {
            Scalar(name, value, expected);
        }
    }

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
