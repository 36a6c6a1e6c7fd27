using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using DiCacheNative.Tensors;
using Microsoft.Win32.SafeHandles;

namespace DiCacheNative.Weights;

/// <summary>
/// An open safetensors file. Opening reads the header alone; a tensor's bytes are read from disk when they are copied. Every number of the
/// header is checked against the file before use, and a file that is cut short later is an error of whoever copies from it then.
/// </summary>
public sealed class SafetensorsFile : IDisposable, ITensorBytes
{
    private const int LengthBytes = 8;

    private readonly SafeFileHandle _file;
    private readonly Dictionary<string, HostTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _unsupported = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int[]> _unsupportedShapes = new(StringComparer.Ordinal);
    private bool _disposed;

    private SafetensorsFile(string path, SafeFileHandle file, long size)
    {
        (Path, _file) = (path, file);
        byte[] head = new byte[Math.Min(size, ForeignFile.HeadBytes)];
        InputFile.Read(file, path, head, 0);
        if (size < LengthBytes)
        {
            Fail(head, $"the file has {size} bytes, too few for a safetensors file");
        }

        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(head);
        if (length > SafetensorsHeader.MaxBytes)
        {
            const int limit = SafetensorsHeader.MaxBytes;
            Fail(head, $"it states a header of {length} bytes, above the limit of {limit}: this is not a safetensors file");
        }

        if (length > (ulong)(size - LengthBytes))
        {
            Fail(head, $"it states a header of {length} bytes but has only {size} in all: it is cut short or not a safetensors file");
        }

        long data = LengthBytes + (long)length;
        byte[] json = new byte[length];
        InputFile.Read(file, path, json, LengthBytes);
        if (json.Length == 0 || json[0] != (byte)'{')
        {
            Fail(head, "the header is not a JSON object");
        }

        SafetensorsHeader header = SafetensorsHeader.Parse(path, json, size - data);
        Metadata = header.Metadata;
        foreach (SafetensorsHeader.Entry entry in header.Entries)
        {
            if (entry.Type is DType type)
            {
                _tensors.Add(entry.Name, new HostTensor(entry.Name, this, checked((nint)(data + entry.Begin)), type, entry.Shape));
            }
            else
            {
                _unsupported.Add(entry.Name, entry.TypeName);
                _unsupportedShapes.Add(entry.Name, entry.Shape);
            }
        }
    }

    /// <summary>The path given to <see cref="Open"/>.</summary>
    public string Path { get; }

    /// <summary>Free text that the writer of the file added.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Tensors by name, without those of <see cref="Unsupported"/>. They are valid until this object is disposed.</summary>
    /// <exception cref="ObjectDisposedException">The file was closed.</exception>
    public IReadOnlyDictionary<string, HostTensor> Tensors
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _tensors;
        }
    }

    /// <summary>Tensors of types the engine does not compute with (8-bit floats, bytes, booleans…): name and type.</summary>
    public IReadOnlyDictionary<string, string> Unsupported => _unsupported;

    /// <summary>Opens a file and checks all of its header.</summary>
    /// <param name="path">A .safetensors file.</param>
    /// <exception cref="ModelFormatException">
    /// There is no such file, it cannot be read, its header is not valid, or it is another kind of file; the message says which.
    /// </exception>
    public static SafetensorsFile Open(string path)
    {
        SafeFileHandle file = InputFile.Open(path, out long size);
        try
        {
            return new SafetensorsFile(path, file, size);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A tensor by name.</summary>
    /// <exception cref="ModelFormatException">The file has no such tensor, or the engine does not know its type.</exception>
    /// <exception cref="ObjectDisposedException">The file was closed.</exception>
    public HostTensor Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (Tensors.TryGetValue(name, out HostTensor tensor))
        {
            return tensor;
        }

        throw new ModelFormatException(Path, _unsupported.TryGetValue(name, out string? type)
            ? $"tensor '{name}' is of type {type}, which is not supported: convert the file to F32, F16 or BF16"
            : $"there is no tensor '{name}'");
    }

    /// <summary>Closes the file; its tensors must not be used any more.</summary>
    public void Dispose()
    {
        _disposed = true;
        _file.Dispose();
    }

    /// <inheritdoc/>
    void ITensorBytes.Read(long position, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        InputFile.Read(_file, Path, destination, position);
    }

    /// <summary>Shape of a tensor, of whatever type.</summary>
    internal ReadOnlySpan<int> ShapeOf(string name) => _unsupportedShapes.TryGetValue(name, out int[]? shape) ? shape : _tensors[name].Shape;

    [DoesNotReturn]
    private void Fail(ReadOnlySpan<byte> head, string what) =>
        throw new ModelFormatException(Path, ForeignFile.Describe(head, FileKind.Safetensors) ?? what);
}
