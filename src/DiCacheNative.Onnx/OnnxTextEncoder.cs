using DiCacheNative.Pipelines;
using DiCacheNative.Tensors;
using DiCacheNative.Text;
using Microsoft.ML.OnnxRuntime;

namespace DiCacheNative.Onnx;

/// <summary>
/// A text encoder as an ONNX graph: <c>input_ids</c> [B, L] and optionally <c>attention_mask</c> [B, L] in; one vector per token
/// [B, L, C] and/or one per text [B, C] out.
/// </summary>
/// <remarks>
/// Outputs are taken by name (<c>hidden_states</c>, <c>last_hidden_state</c>; <c>pooled</c>, <c>pooler_output</c>, <c>text_embeds</c>),
/// else by rank when only one output has it.
/// </remarks>
public sealed class OnnxTextEncoder : ITextEncoder
{
    private const string Ids = "input_ids";
    private const string Mask = "attention_mask";

    private readonly OnnxSession _session;
    private readonly bool _maskPadding;
    private readonly string? _hidden;
    private readonly string? _pooled;

    private OnnxTextEncoder(OnnxSession session, bool maskPadding)
    {
        (_session, _maskPadding) = (session, maskPadding);
        if (!session.Inputs.TryGetValue(Ids, out NodeMetadata? ids) || !OnnxSession.HasRank(ids, 2))
        {
            throw new ModelFormatException(session.Path, $"this is no text encoder: it has no input '{Ids}' of two dimensions");
        }

        if (session.Inputs.TryGetValue(Mask, out NodeMetadata? mask) && !OnnxSession.HasRank(mask, 2))
        {
            throw new ModelFormatException(session.Path, $"input '{Mask}' should have two dimensions, as '{Ids}' has");
        }

        if (session.Inputs.Keys.FirstOrDefault(n => n is not Ids and not Mask) is { } unknown)
        {
            throw new ModelFormatException(session.Path, $"input '{unknown}' is not known; a text encoder takes '{Ids}' and '{Mask}'");
        }

        SequenceLength = ids.Dimensions[1] > 0 ? ids.Dimensions[1] : null;
        _hidden = FindOutput(3, "hidden_states", "last_hidden_state");
        _pooled = FindOutput(2, "pooled", "pooler_output", "text_embeds");
        if (_hidden is null && _pooled is null)
        {
            throw new ModelFormatException(session.Path, $"no text features among its outputs ({string.Join(", ", session.OutputNames)})");
        }
    }

    /// <inheritdoc/>
    public int? SequenceLength { get; }

    /// <summary>Loads a graph.</summary>
    /// <param name="path">The .onnx file.</param>
    /// <param name="threads">Threads it may use, at least 1.</param>
    /// <param name="maskPadding">
    /// True to hide padding from a graph that takes a mask (WAN); false to show it everything, as FLUX does with both of its encoders.
    /// </param>
    /// <exception cref="ModelFormatException">The file is missing, broken, or no text encoder.</exception>
    /// <exception cref="Backends.BackendException">ONNX Runtime is not there.</exception>
    public static OnnxTextEncoder Load(string path, int threads, bool maskPadding = true)
    {
        OnnxSession session = OnnxSession.Load(path, threads, nameof(OnnxTextEncoder));
        try
        {
            return new OnnxTextEncoder(session, maskPadding);
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public TextFeatures Encode(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        int tokens = CheckedLength(texts);
        long[] shape = [texts.Count, tokens];
        var inputs = new Dictionary<string, OrtValue>();
        try
        {
            inputs.Add(Ids, _session.Integers(Ids, [.. texts.SelectMany(t => t.Ids)], shape));
            if (_session.Inputs.ContainsKey(Mask))
            {
                inputs.Add(Mask, _session.Integers(Mask, [.. texts.SelectMany(t => t.AttentionMask.Select(m => _maskPadding ? m : 1))], shape));
            }

            string[] names = [.. new[] { _hidden, _pooled }.OfType<string>()];
            (long[] Shape, float[] Values)[] results = _session.Run(inputs, names, cancellationToken);
            (long[] Shape, float[] Values) hidden = _hidden is null ? ([texts.Count, tokens, 0], []) : Checked(_hidden, results[0], texts.Count, tokens);
            (long[] Shape, float[] Values) pooled = _pooled is null ? ([texts.Count, 0], []) : Checked(_pooled, results[^1], texts.Count);
            return new TextFeatures
            {
                Batch = texts.Count,
                Tokens = tokens,
                HiddenStates = hidden.Values,
                Width = (int)hidden.Shape[^1],
                Pooled = pooled.Values,
                PooledWidth = (int)pooled.Shape[^1],
            };
        }
        finally
        {
            foreach (OrtValue value in inputs.Values)
            {
                value.Dispose();
            }
        }
    }

    /// <summary>Frees the graph; runs under way are ended and waited for, later ones are refused. May be called twice.</summary>
    public void Dispose() => _session.Dispose();

    private int CheckedLength(IReadOnlyList<TokenizedText> texts)
    {
        if (texts.Count == 0)
        {
            throw new ShapeException("a text encoder needs at least one text");
        }

        int tokens = texts[0].Ids.Length;
        if (texts.FirstOrDefault(t => t.Ids.Length != tokens) is { } other)
        {
            throw new ShapeException($"texts of {tokens} and of {other.Ids.Length} tokens cannot be encoded together: pad them to one length");
        }

        if (SequenceLength is { } wanted && wanted != tokens)
        {
            throw new ShapeException($"{_session.Path} takes {wanted} tokens per text, not {tokens}");
        }

        return tokens;
    }

    private string? FindOutput(int rank, params string[] names)
    {
        string[] candidates = [.. _session.OutputNames.Where(n => OnnxSession.HasRank(_session.Outputs[n], rank))];
        return names.FirstOrDefault(candidates.Contains) ?? (candidates.Length == 1 ? candidates[0] : null);
    }

    // A graph may give another number of dimensions than it declares, so the number is compared first. The last one is the width.
    private (long[] Shape, float[] Values) Checked(string name, (long[] Shape, float[] Values) output, params ReadOnlySpan<long> leading)
    {
        bool fits = output.Shape.Length == leading.Length + 1 && output.Shape.AsSpan(0, leading.Length).SequenceEqual(leading) && output.Shape[^1] > 0;
        return fits ? output : throw new ModelFormatException(
            _session.Path, $"output '{name}' is [{string.Join(", ", output.Shape)}] where [{string.Join(", ", leading.ToArray())}, width] was expected");
    }
}
