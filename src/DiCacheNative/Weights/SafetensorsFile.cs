using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;
using DiCacheNative.Tensors;
using Microsoft.Win32.SafeHandles;

namespace DiCacheNative.Weights;

/// <summary>
/// A memory-mapped safetensors file. Opening reads the header alone; a tensor's bytes are read from disk when they are first
/// touched. Every number of the header is checked against the file before use.
/// </summary>
/// <remarks>The file must not be cut short while it is open: the operating system ends a program that reads past its new end.</remarks>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private const int LengthBytes = 8;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, HostTensor> _tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _unsupported = new(StringComparer.Ordinal);
    private bool _disposed;

    private SafetensorsFile(string path, MemoryMappedFile map, MemoryMappedViewAccessor view, long size)
    {
        (Path, _map, _view) = (path, map, view);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try
        {
            start += view.PointerOffset;
            ulong length = BinaryPrimitives.ReadUInt64LittleEndian(new ReadOnlySpan<byte>(start, LengthBytes));
            if (length > SafetensorsHeader.MaxBytes)
            {
                const int limit = SafetensorsHeader.MaxBytes;
                Fail(path, $"it states a header of {length} bytes, above the format's limit of {limit}: this is not a safetensors file");
            }

            if (length > (ulong)(size - LengthBytes))
            {
                Fail(path, $"it states a header of {length} bytes but has only {size} in all: it is cut short or not a safetensors file");
            }

            long data = LengthBytes + (long)length;
            SafetensorsHeader header = SafetensorsHeader.Parse(path, new ReadOnlySpan<byte>(start + LengthBytes, (int)length), size - data);
            Metadata = header.Metadata;
            foreach (SafetensorsHeader.Entry entry in header.Entries)
            {
                if (entry.Type is DType type)
                {
                    _tensors.Add(entry.Name, new HostTensor(entry.Name, (nint)(start + data + entry.Begin), type, entry.Shape));
                }
                else
                {
                    _unsupported.Add(entry.Name, entry.TypeName);
                }
            }
        }
        catch
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
            throw;
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
    /// <exception cref="ModelFormatException">There is no such file, it cannot be read, or its header is not valid.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
        {
            Fail(path, "this is a directory, not a safetensors file");
        }

        MemoryMappedFile? map = null;
        MemoryMappedViewAccessor? view = null;
        try
        {
            using SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            long size = RandomAccess.GetLength(file);
            if (size < LengthBytes)
            {
                Fail(path, size == 0 ? "the file is empty" : $"the file has {size} bytes, too few for a safetensors file");
            }

            map = MemoryMappedFile.CreateFromFile(
                file, null, size, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            view = map.CreateViewAccessor(0, size, MemoryMappedFileAccess.Read);
            return new SafetensorsFile(path, map, view, size);
        }
        catch (Exception e)
        {
            view?.Dispose();
            map?.Dispose();
            switch (e)
            {
                case FileNotFoundException or DirectoryNotFoundException:
                    throw new ModelFormatException(path, "there is no such file", e);
                case IOException or UnauthorizedAccessException or NotSupportedException:
                    throw new ModelFormatException(path, $"the file cannot be read: {e.Message}", e);
                default:
                    throw;
            }
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
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }

    [DoesNotReturn]
    private static void Fail(string path, string what) => throw new ModelFormatException(path, what);
}
