namespace DiCacheNative.Models.Flux;

/// <summary>The shape a FLUX program is laid out for.</summary>
/// <param name="Batch">Samples per call, B.</param>
/// <param name="GridHeight">Rows of latent tokens: image height / 16.</param>
/// <param name="GridWidth">Columns of latent tokens: image width / 16.</param>
/// <param name="TextTokens">Text tokens, padding included: FLUX attends to all of them.</param>
/// <param name="Slots">Condition slots: guidance branches, times samples when these decide for themselves.</param>
/// <param name="MaxSteps">Sampling steps whose modulations are kept.</param>
public sealed record FluxShape(int Batch, int GridHeight, int GridWidth, int TextTokens, int Slots = 1, int MaxSteps = 1)
{
    /// <summary>Latent tokens per sample.</summary>
    public int ImageTokens => GridHeight * GridWidth;

    /// <summary>Tokens of the joint sequence.</summary>
    public int Tokens => TextTokens + ImageTokens;
}
