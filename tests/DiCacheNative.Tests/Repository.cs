namespace DiCacheNative.Tests;

/// <summary>Files of the source tree that tests read: golden values and the embedded models.</summary>
internal static class Repository
{
    private static readonly string Root = FindRoot(AppContext.BaseDirectory) ?? FindRoot(Directory.GetCurrentDirectory())
        ?? throw new DirectoryNotFoundException("the tests run from a folder inside the source tree (no DiCacheNative.sln was found above them)");

    /// <summary>The full path of a file or folder, given by its path from the root.</summary>
    public static string File(params string[] parts) => Path.Combine([Root, .. parts]);

    private static string? FindRoot(string start)
    {
        for (DirectoryInfo? folder = new(start); folder is not null; folder = folder.Parent)
        {
            if (System.IO.File.Exists(Path.Combine(folder.FullName, "DiCacheNative.sln")))
            {
                return folder.FullName;
            }
        }

        return null;
    }
}
