namespace DiCacheNative.Weights;

/// <summary>What a file is expected to be.</summary>
internal enum FileKind
{
    /// <summary>Weights.</summary>
    Safetensors,

    /// <summary>Text in JSON.</summary>
    Json,

    /// <summary>A graph.</summary>
    Onnx,
}

/// <summary>Files that people put where a model file should be, told by their first bytes, with what to do about them.</summary>
internal static class ForeignFile
{
    /// <summary>Bytes that are enough to tell.</summary>
    public const int HeadBytes = 512;

    private static readonly (byte[] Start, string What)[] s_starts =
    [
        ("version https://git-lfs"u8.ToArray(), "this is a Git LFS pointer, not the file itself: fetch the file with 'git lfs pull'"),
        ("GGUF"u8.ToArray(), "this is a GGUF file: take the model's .safetensors files (F32, F16 or BF16) instead"),
        ("PK\x3\x4"u8.ToArray(), "this is a PyTorch (.pt, .bin, .ckpt) or other zip file: take the .safetensors files, or convert it with PyTorch"),
        ([0x80, 2], "this is a PyTorch pickle: take the .safetensors files, or convert it with PyTorch"),
        ([0x80, 3], "this is a Python pickle: take the .safetensors files, or convert it with PyTorch"),
        ([0x80, 4], "this is a Python pickle: take the .safetensors files, or convert it with PyTorch"),
        ([0x80, 5], "this is a Python pickle: take the .safetensors files, or convert it with PyTorch"),
        ("ftrt"u8.ToArray(), "this is a TensorRT engine, which runs nowhere but in TensorRT: take the file it was built from"),
        ("ptrt"u8.ToArray(), "this is a TensorRT engine, which runs nowhere but in TensorRT: take the file it was built from"),
        ([0x89, (byte)'H', (byte)'D', (byte)'F'], "this is an HDF5 file: take the model's .safetensors files instead"),
        ([0x1F, 0x8B], "this is a gzip archive: unpack it first"),
        ([(byte)'7', (byte)'z', 0xBC, 0xAF], "this is a 7z archive: unpack it first"),
        ([0, 5, 0x16, 7], "this is a macOS resource file (AppleDouble), not the file itself: take the one whose name does not begin with ._"),
    ];

    /// <summary>One sentence without the file's name; null when nothing is known, or when it is what was expected.</summary>
    /// <param name="head">The first bytes of the file, <see cref="HeadBytes"/> or as many as it has.</param>
    /// <param name="expected">What it should have been.</param>
    public static string? Describe(ReadOnlySpan<byte> head, FileKind expected)
    {
        foreach ((byte[] start, string what) in s_starts)
        {
            if (head.StartsWith(start))
            {
                return what;
            }
        }

        ReadOnlySpan<byte> text = head.TrimStart("\uFEFF \t\r\n"u8);
        if (text.StartsWith("<"u8))
        {
            return "this is a web page (HTML or XML), saved in place of the file: download the file again, signed in where that is asked for";
        }

        // The first two fields of an ONNX graph: its version of the format, a small number, and the name of its producer.
        FileKind? kind = text is [(byte)'{', (byte)'"' or (byte)'}' or (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n', ..] ? FileKind.Json
            : head.Length > 10 && head[8] == (byte)'{' && head[4..8].IndexOfAnyExcept((byte)0) < 0 ? FileKind.Safetensors
            : head.Length > 3 && head[0] == 8 && head[1] is > 0 and < 32 && head[2] is 0x12 or 0x1A or 0x3A or 0x42 ? FileKind.Onnx
            : null;
        return kind == expected ? null : kind switch
        {
            FileKind.Json => "this is JSON text; an index of shards is to be named *.safetensors.index.json",
            FileKind.Safetensors => "this is a safetensors file, not what its place asks for",
            FileKind.Onnx => "this is an ONNX graph; text encoders and decoders are graphs, transformers and their settings are not",
            _ => null,
        };
    }
}
