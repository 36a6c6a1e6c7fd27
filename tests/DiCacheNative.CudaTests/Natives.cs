namespace DiCacheNative.Cuda.Tests;

/// <summary>The native libraries that tests run on, found where the set-up puts them; a test that needs one is skipped with the reason.</summary>
internal static class Natives
{
    private static readonly Lazy<CudaLibraries> Nvidia = new(() => CudaLibraries.Find(Folder("nvrtc")));

    /// <summary>Libraries with an NVRTC among them.</summary>
    public static CudaLibraries RequireNvrtc()
    {
        Assert.SkipUnless(
            Nvidia.Value.Nvrtc is not null, $"tools/get-nvrtc.sh was not run or could not fetch it: {string.Join("; ", Nvidia.Value.Missing)}");
        return Nvidia.Value;
    }

    /// <summary>A folder under .native, beside the solution, or below the program when it was carried elsewhere.</summary>
    private static string Folder(string name)
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            string native = Path.Combine(folder.FullName, ".native", name);
            if (Directory.Exists(native))
            {
                return native;
            }
        }

        return AppContext.BaseDirectory;
    }
}
