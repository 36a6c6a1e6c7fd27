namespace DiCacheNative.Tests.HostDriver;

/// <summary>Tests of the host driver share its one device: they run one after the other.</summary>
[CollectionDefinition("host driver")]
public sealed class HostDriverCollection;
