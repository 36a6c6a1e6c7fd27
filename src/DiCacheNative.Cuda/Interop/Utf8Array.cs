using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>Strings as a C array of C strings, for the duration of a call.</summary>
internal sealed unsafe class Utf8Array : IDisposable
{
    private readonly nint[] _strings;
    private readonly byte** _pointers;

    public Utf8Array(IEnumerable<string> strings)
    {
        _strings = [.. strings.Select(Marshal.StringToCoTaskMemUTF8)];
        _pointers = (byte**)NativeMemory.AllocZeroed((nuint)Math.Max(1, _strings.Length), (nuint)sizeof(nint));
        for (int i = 0; i < _strings.Length; i++)
        {
            _pointers[i] = (byte*)_strings[i];
        }
    }

    public int Count => _strings.Length;

    public byte** Pointers => _pointers;

    public void Dispose()
    {
        foreach (nint s in _strings)
        {
            Marshal.FreeCoTaskMem(s);
        }

        NativeMemory.Free(_pointers);
    }
}
