using DiCacheNative.Text;

namespace DiCacheNative.Pipelines;

/// <summary>A network that turns token ids into the features a transformer attends to.</summary>
public interface ITextEncoder : IDisposable
{
    /// <summary>The only number of tokens it takes, or null when it takes any.</summary>
    int? SequenceLength { get; }

    /// <summary>Encodes a batch of texts. May be called from several threads.</summary>
    /// <param name="texts">At least one text; all have the same number of ids.</param>
    /// <param name="cancellationToken">Ends the run early.</param>
    /// <exception cref="Tensors.ShapeException">No text, lengths differ, or the network takes another length.</exception>
    /// <exception cref="Backends.BackendException">The run failed.</exception>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    TextFeatures Encode(IReadOnlyList<TokenizedText> texts, CancellationToken cancellationToken = default);
}
