namespace DiCacheNative.Backends;

/// <summary>Shape and type checks of the operations, shared by all backends, so that kernels hold no guards against impossible input.</summary>
public static class OpValidation
{
}
