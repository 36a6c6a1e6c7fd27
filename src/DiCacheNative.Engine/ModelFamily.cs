namespace DiCacheNative;

/// <summary>Which pipeline a model folder holds.</summary>
public enum ModelFamily
{
    /// <summary>FLUX.1: text to image.</summary>
    Flux,

    /// <summary>WAN 2.1: text to video.</summary>
    Wan,
}
