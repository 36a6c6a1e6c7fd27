namespace DiCacheNative;

/// <summary>How much of the prompt a text encoder took.</summary>
/// <param name="Encoder">The encoder, by its folder: text_encoder, text_encoder_2.</param>
/// <param name="Given">Tokens of the whole prompt, special tokens included.</param>
/// <param name="Used">Tokens that the encoder took; fewer when the prompt was cut.</param>
public sealed record PromptTokens(string Encoder, int Given, int Used);
