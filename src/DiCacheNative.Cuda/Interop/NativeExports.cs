using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>Looks up the entry points of a library and remembers which are missing, so that one sentence can name them all.</summary>
internal sealed class NativeExports(nint library)
{
    private readonly List<string> _missing = [];

    /// <summary>Address of an entry point, 0 when the library lacks it.</summary>
    public nint Find(string name)
    {
        if (NativeLibrary.TryGetExport(library, name, out nint address))
        {
            return address;
        }

        _missing.Add(name);
        return 0;
    }

    /// <summary>True when every entry point asked for was there; otherwise says which were not.</summary>
    public bool Complete(string path, string advice, out string reason)
    {
        reason = _missing.Count == 0 ? "" : $"{path} lacks {string.Join(", ", _missing)}: {advice}";
        return _missing.Count == 0;
    }
}
