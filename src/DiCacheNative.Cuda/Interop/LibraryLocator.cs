using System.Runtime.InteropServices;

namespace DiCacheNative.Cuda.Interop;

/// <summary>Finds the native libraries of CUDA, which differ in name by platform and version and may all be absent.</summary>
internal static class LibraryLocator
{
    /// <summary>File names of the driver, best first.</summary>
    public static string[] DriverNames => OperatingSystem.IsWindows() ? ["nvcuda.dll"] : ["libcuda.so.1"];

    /// <summary>Major versions of CUDA whose libraries the engine can use, newest first.</summary>
    public static int[] Majors { get; } = [13, 12];

    /// <summary>File name of NVRTC of a major version.</summary>
    public static string NvrtcName(int major) => OperatingSystem.IsWindows() ? $"nvrtc64_{major}0_0.dll" : $"libnvrtc.so.{major}";

    /// <summary>File name of cuBLASLt of a major version.</summary>
    public static string CublasLtName(int major) => OperatingSystem.IsWindows() ? $"cublasLt64_{major}.dll" : $"libcublasLt.so.{major}";

    /// <summary>Loads the first of <paramref name="names"/> that is in one of <paramref name="folders"/> or known to the system.</summary>
    /// <param name="folders">Searched first, in this order.</param>
    /// <param name="names">File names, best first.</param>
    /// <param name="systemToo">Whether the system is asked.</param>
    /// <param name="path">Where it was found, or the bare name when the system found it.</param>
    /// <returns>The library, 0 when there is none. It is never unloaded.</returns>
    public static nint Load(IEnumerable<string> folders, string[] names, bool systemToo, out string path)
    {
        foreach (string folder in folders)
        {
            foreach (string name in names)
            {
                path = Path.Combine(folder, name);
                if (File.Exists(path) && NativeLibrary.TryLoad(path, out nint found))
                {
                    return found;
                }
            }
        }

        foreach (string name in systemToo ? names : [])
        {
            if (TryLoadFromSystem(name, out nint found))
            {
                path = name;
                return found;
            }
        }

        path = "";
        return 0;
    }

    // Windows looks for a bare name in the current folder too, where anyone may have put a library: there only the system's folder and those of PATH
    // are asked, as dlopen asks only the system's and those of LD_LIBRARY_PATH.
    private static bool TryLoadFromSystem(string name, out nint library)
    {
        if (!OperatingSystem.IsWindows())
        {
            return NativeLibrary.TryLoad(name, out library);
        }

        string[] named = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        foreach (string folder in (string[])[Environment.SystemDirectory, .. named])
        {
            if (Path.IsPathFullyQualified(folder) && NativeLibrary.TryLoad(Path.Combine(folder, name), out library))
            {
                return true;
            }
        }

        library = 0;
        return false;
    }

    /// <summary>
    /// NVRTC opens its built-in declarations by bare name, which fails when it was loaded from a folder that the system does not search:
    /// they are loaded beforehand by full path.
    /// </summary>
    public static void LoadNvrtcBuiltins(IEnumerable<string> folders)
    {
        string pattern = OperatingSystem.IsWindows() ? "nvrtc-builtins64_*.dll" : "libnvrtc-builtins.so.*";
        foreach (string folder in folders.Where(Directory.Exists))
        {
            foreach (string file in Directory.GetFiles(folder, pattern))
            {
                NativeLibrary.TryLoad(file, out _);
            }
        }
    }

    /// <summary>
    /// Folders searched before the system's own: those named by the environment variable DICACHE_CUDA_LIBRARIES, the program's own folder,
    /// and where the CUDA toolkit installs itself.
    /// </summary>
    public static IEnumerable<string> DefaultFolders()
    {
        string named = Environment.GetEnvironmentVariable("DICACHE_CUDA_LIBRARIES") ?? "";
        foreach (string folder in named.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            yield return folder;
        }

        yield return AppContext.BaseDirectory;
        if (Environment.GetEnvironmentVariable("CUDA_PATH") is { Length: > 0 } toolkit)
        {
            yield return Path.Combine(toolkit, OperatingSystem.IsWindows() ? "bin" : "lib64");
        }

        if (!OperatingSystem.IsWindows())
        {
            yield return "/usr/local/cuda/lib64";
        }
    }
}
