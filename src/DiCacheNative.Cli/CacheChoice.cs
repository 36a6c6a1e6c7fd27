using DiCacheNative.Caching;

namespace DiCacheNative.Cli;

/// <summary>The cache that a command line asks for.</summary>
/// <param name="Mode">Mode as reports name it.</param>
/// <param name="Policy">The cache.</param>
/// <param name="Given">Keys of the settings that were given.</param>
/// <param name="Settings">All settings by key, those of the profile included, as --cache-option takes them.</param>
internal sealed record CacheChoice(string Mode, ICachePolicy Policy, IReadOnlyList<string> Given, Dictionary<string, string> Settings);
