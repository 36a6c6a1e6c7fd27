namespace DiCacheNative.Imaging;

/// <summary>A file format of single pictures.</summary>
public enum ImageFormat
{
    /// <summary>PNG, 8-bit RGB: every pixel as it is. Texts are stored under their keys.</summary>
    Png,

    /// <summary>JPEG of quality 95 without subsampled colours. Texts are stored as the EXIF user comment.</summary>
    Jpeg,

    /// <summary>WebP, lossy, of quality 95; at most 16383 pixels wide and high. Texts are stored as the EXIF user comment.</summary>
    Webp,

    /// <summary>BMP, 24 bits a pixel: every pixel as it is. It holds no texts.</summary>
    Bmp,
}
