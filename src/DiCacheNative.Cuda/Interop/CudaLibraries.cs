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
    private int _driverVersion;

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

    /// <summary>The newest version of CUDA that the driver supports, as in "12.4"; empty without a driver.</summary>
    public string DriverVersion => _driverVersion == 0 ? "" : $"{_driverVersion / 1000}.{_driverVersion % 1000 / 10}";

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

        // The driver belongs to the system: a copy in some folder would not fit the kernel module.
        return Search(null, [.. folders, .. LibraryLocator.DefaultFolders()], systemToo: true);
    }

    /// <summary>Looks for NVIDIA's libraries in given places.</summary>
    /// <param name="driverFolder">Folder of the driver; null for the system's.</param>
    /// <param name="searched">Folders of the other libraries.</param>
    /// <param name="systemToo">Whether they may be the system's.</param>
    internal static CudaLibraries Search(string? driverFolder, string[] searched, bool systemToo)
    {
        CudaLibraries libraries = new("cuda");
        List<string> origins = [];
        string[] places = driverFolder is null ? [] : [driverFolder];
        nint driver = LibraryLocator.Load(places, LibraryLocator.DriverNames, systemToo: driverFolder is null, out string path);
        libraries.Driver = libraries.Bound(
            driver, path, Driver.Bind, origins,
            $"{LibraryLocator.DriverNames[0]} was not found: install the NVIDIA driver (525 or newer) or use the CPU backend");
        libraries.AskForVersion();
        LibraryLocator.LoadNvrtcBuiltins(searched);
        nint nvrtc = libraries.Load(searched, systemToo, LibraryLocator.NvrtcName, "CUDA's NVRTC", origins, out path, out string absent);
        libraries.Nvrtc = libraries.Bound(nvrtc, path, Nvrtc.Bind, origins, absent);
        nint cublas = libraries.Load(searched, systemToo, LibraryLocator.CublasLtName, "cuBLAS", origins, out path, out absent);
        libraries.CublasLt = libraries.Bound(cublas, path, CublasLt.Bind, origins, absent);
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
            libraries.AskForVersion();
            libraries.Nvrtc = libraries.Bound(handle, path, Nvrtc.Bind, [], absent);
            libraries.CublasLt = libraries.Bound(handle, path, CublasLt.Bind, [], absent);
        }

        libraries.Origin = string.Join(", ", origins);
        return libraries;
    }

    private unsafe void AskForVersion()
    {
        int version = 0;
        if (Driver is not { } driver)
        {
            return;
        }

        CuResult result = driver.cuDriverGetVersion(&version);
        if (result == CuResult.Success)
        {
            _driverVersion = version;
        }
        else
        {
            _missing.Add(driver.Error(result, "asking the NVIDIA driver for its version", "cuDriverGetVersion(&version)").Message);
        }
    }

    /// <summary>
    /// Loads the newest version that the driver can run: what a newer library compiles or brings along, an older driver refuses to load.
    /// Without a driver any version will do, since kernels can be compiled all the same.
    /// </summary>
    private nint Load(
        string[] folders, bool systemToo, Func<int, string> nameOf, string what, List<string> origins, out string path, out string absent)
    {
        int newest = _driverVersion == 0 ? int.MaxValue : _driverVersion / 1000;
        int[] fitting = [.. LibraryLocator.Majors.Where(m => m <= newest)], tooNew = [.. LibraryLocator.Majors.Where(m => m > newest)];
        nint library = LibraryLocator.Load(folders, [.. fitting.Select(nameOf)], systemToo, out path);
        string left = string.Join(" or ", tooNew.Select(nameOf));
        if (library != 0 && tooNew.Any(m => folders.Any(f => File.Exists(Path.Combine(f, nameOf(m))))))
        {
            origins.Add($"{left} left aside (the driver supports CUDA {DriverVersion})");
        }

        absent = fitting.Length == 0
            ? $"the NVIDIA driver supports CUDA {DriverVersion} only: update it (525 or newer)"
            : $"{string.Join(" or ", fitting.Select(nameOf))} was not found: install {what} {string.Join(" or ", fitting.Order())}, "
                + "or name its folder in DICACHE_CUDA_LIBRARIES"
                + (tooNew.Length == 0 ? "" : $" ({left} would need a newer driver: this one supports CUDA {DriverVersion})");
        return library;
    }

    private T? Bound<T>(nint handle, string path, Binder<T> bind, List<string> origins, string absent)
        where T : class
    {
        if (handle == 0)
        {
            if (!_missing.Contains(absent))
            {
                _missing.Add(absent);
            }

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
