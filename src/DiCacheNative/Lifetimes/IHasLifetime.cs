namespace DiCacheNative.Lifetimes;

/// <summary>Something whose users may hold it for longer than a call: it is freed when the last has left.</summary>
internal interface IHasLifetime
{
    /// <summary>Where to enter.</summary>
    Lifetime Lifetime { get; }
}
