namespace DiCacheNative;

/// <summary>A backend as <c>dicache devices</c> lists it.</summary>
/// <param name="Name">Name for --backend.</param>
/// <param name="Available">Whether it can be used here.</param>
/// <param name="Detail">What it computes with; or why it is not available and what to do.</param>
public sealed record BackendStatus(string Name, bool Available, string Detail);
