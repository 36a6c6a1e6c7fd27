using System.Runtime.InteropServices;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda;

/// <summary>
/// The native libraries that a CUDA backend runs on: the CUDA driver, NVRTC and cuBLASLt. They are looked for late and each
/// may be absent, which is a reason in <see cref="Missing"/> and never an exception. Several sets can live in one process.
/// </summary>
public sealed class CudaLibraries
{
    private readonly List<string> _missing = [];

    private CudaLibraries(string name)
    {
        Name = name;
    }

    /// <summary>"cuda" for NVIDIA's libraries, "cuda-host" for the emulation that runs the kernels on the processor.</summary>
    public string Name { get; }

    /// <summary>Where each library was found, as in "libcuda.so.1".</summary>
    public string Origin { get; private set; } = "";

    /// <summary>What is not there, one sentence each; empty when everything is.</summary>
    public IReadOnlyList<string> Missing => _missing;

    /// <summary>True when a backend can be created, as far as libraries go; there may still be no device.</summary>
    public bool Complete => _missing.Count == 0;

    /// <summary>NVRTC's version, as in "12.4"; empty when it is absent.</summary>
    public string CompilerVersion => Nvrtc is null ? "" : new KernelCompiler(Nvrtc).Version;

    internal Driver? Driver { get; private set; }

    internal Nvrtc? Nvrtc { get; private set; }

    internal CublasLt? CublasLt { get; private set; }

    /// <summary>Looks for NVIDIA's libraries.</summary>
    /// <param name="folders">
    /// Folders to search first. After them come those named by the environment variable DICACHE_CUDA_LIBRARIES, the program's own, the CUDA
    /// toolkit's, and those of the system.
    /// </param>
    public static CudaLibraries Find(params IReadOnlyList<string> folders)
    {
        ArgumentNullException.ThrowIfNull(folders);
        string[] searched = [.. folders, .. LibraryLocator.DefaultFolders()];
        CudaLibraries libraries = new("cuda");
        List<string> origins = [];

        // The driver belongs to the system: a copy in some folder would not fit the kernel module.
        nint driver = LibraryLocator.Load([], LibraryLocator.DriverNames, out string path);
        libraries.Driver = libraries.Bound(
            driver, path, Driver.Bind, origins, $"{LibraryLocator.DriverNames[0]} was not found: install the NVIDIA driver (525 or newer) or use the CPU backend");

        LibraryLocator.LoadNvrtcBuiltins(searched);
        nint nvrtc = LibraryLocator.Load(searched, LibraryLocator.NvrtcNames, out path);
        libraries.Nvrtc = libraries.Bound(
            nvrtc, path, Nvrtc.Bind, origins, $"{string.Join(" or ", LibraryLocator.NvrtcNames)} was not found: install CUDA's NVRTC 12 or 13, or name its folder in DICACHE_CUDA_LIBRARIES");

        nint cublas = LibraryLocator.Load(searched, LibraryLocator.CublasLtNames, out path);
        libraries.CublasLt = libraries.Bound(
            cublas, path, CublasLt.Bind, origins, $"{string.Join(" or ", LibraryLocator.CublasLtNames)} was not found: install cuBLAS 12 or 13, or name its folder in DICACHE_CUDA_LIBRARIES");
        libraries.Origin = string.Join(", ", origins);
        return libraries;
    }

    /// <summary>
    /// One library that exports the driver, NVRTC and cuBLASLt together and runs the kernels on the processor. It exists for tests.
    /// </summary>
    /// <param name="path">Path of the library.</param>
    public static CudaLibraries Host(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        CudaLibraries libraries = new("cuda-host");
        List<string> origins = [];
        NativeLibrary.TryLoad(Path.GetFullPath(path), out nint handle);
        string absent = $"{path} was not found or cannot be loaded: build the host driver first";
        libraries.Driver = libraries.Bound(handle, path, Driver.Bind, origins, absent);
        if (handle != 0)
        {
            libraries.Nvrtc = libraries.Bound(handle, path, Nvrtc.Bind, [], absent);
            libraries.CublasLt = libraries.Bound(handle, path, CublasLt.Bind, [], absent);
        }

        libraries.Origin = string.Join(", ", origins);
        return libraries;
    }

    private T? Bound<T>(nint handle, string path, Binder<T> bind, List<string> origins, string absent)
        where T : class
    {
        if (handle == 0)
        {
            _missing.Add(absent);
            return null;
        }

        T? library = bind(handle, path, out string reason);
        if (library is null)
        {
            _missing.Add(reason);
        }
        else
        {
            origins.Add(path);
        }

        return library;
    }

    private delegate T? Binder<T>(nint handle, string path, out string reason)
        where T : class;
}
