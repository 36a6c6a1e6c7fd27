using System.Text.Json;
using System.Text.Json.Serialization;

namespace DiCacheNative.Caching;

/// <summary>How a <see cref="CacheTraceRow"/> is JSON; generated at build time, so that it also works in a trimmed or natively compiled program.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    Converters = [typeof(DecisionConverter)])]
[JsonSerializable(typeof(CacheTraceRow))]
internal sealed partial class CacheTraceJson : JsonSerializerContext
{
    /// <summary>Decisions by name: full, resume, skip.</summary>
    internal sealed class DecisionConverter() : JsonStringEnumConverter<StepDecision>(JsonNamingPolicy.SnakeCaseLower);
}
