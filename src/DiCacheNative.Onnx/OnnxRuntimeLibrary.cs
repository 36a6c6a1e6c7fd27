using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using Microsoft.ML.OnnxRuntime;

namespace DiCacheNative.Onnx;

/// <summary>ONNX Runtime's native library: found, loaded once, and asked for its version.</summary>
public static class OnnxRuntimeLibrary
{
    private static readonly Lazy<(string? Version, string Problem)> Loaded = new(Load);

    /// <summary>Loads the library, once per process.</summary>
    /// <param name="detail">Its version; or, when it cannot be loaded, one sentence that says why.</param>
    public static bool TryLoad(out string detail)
    {
        (string? version, string problem) = Loaded.Value;
        detail = version ?? problem;
        return version is not null;
    }

    /// <summary>Loads the library, once per process.</summary>
    /// <exception cref="BackendException">It is missing, or does not fit this build.</exception>
    internal static void Require()
    {
        if (!TryLoad(out string problem))
        {
            throw new BackendException(problem);
        }
    }

    private static (string? Version, string Problem) Load()
    {
        try
        {
            FindNative();
            if (!OrtEnv.IsCreated)
            {
                // Warnings about the machine or about a graph's unused initialisers would go to standard error; errors come as exceptions.
                var options = new EnvironmentCreationOptions { logId = "dicache", logLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
                OrtEnv.CreateInstanceWithOptions(ref options);
            }

            return (OrtEnv.Instance().GetVersionString(), "");
        }
        catch (Exception e) when (Root(e) is DllNotFoundException or BadImageFormatException or EntryPointNotFoundException or BackendException)
        {
            return (null, Describe(Root(e)));
        }
        catch (OnnxRuntimeException e)
        {
            return (null, $"ONNX Runtime could not be started: {e.Message}");
        }
    }

    // A static constructor of the API hides the reason in a TypeInitializationException.
    private static Exception Root(Exception e) => e is TypeInitializationException { InnerException: { } inner } ? Root(inner) : e;

    private static string Describe(Exception e) => e is BackendException
        ? e.Message
        : $"ONNX Runtime's native library could not be used ({e.Message}); build again after './build.sh setup'";

#if ORT_NPM
    // The API's sources load "onnxruntime" through a resolver of their own that does not look into runtimes/RID/native.
    private static void FindNative()
    {
        OrtEnv.DisableDllImportResolver = true;
        nint library = NativeLibrary.Load(Locate(AppContext.BaseDirectory));
        try
        {
            NativeLibrary.SetDllImportResolver(
                typeof(OrtEnv).Assembly, (name, _, _) => name.StartsWith("onnxruntime", StringComparison.Ordinal) ? library : 0);
        }
        catch (InvalidOperationException)
        {
            // The host program has set a resolver for ONNX Runtime already: its choice stands.
        }
    }
#else
    // The package's own layout is known to the .NET host.
    private static void FindNative()
    {
    }
#endif

    /// <summary>The native library that belongs to a program folder.</summary>
    /// <exception cref="BackendException">It is not there.</exception>
    internal static string Locate(string folder)
    {
        string file = OperatingSystem.IsWindows() ? "onnxruntime.dll" : OperatingSystem.IsMacOS() ? "libonnxruntime.dylib" : "libonnxruntime.so";
        string system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        string rid = $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
        string inRuntimes = Path.Combine(folder, "runtimes", rid, "native", file);
        string beside = Path.Combine(folder, file);
        return File.Exists(inRuntimes) ? inRuntimes
            : File.Exists(beside) ? beside
            : throw new BackendException($"ONNX Runtime's native library was not found: {file} should stand at {inRuntimes}, where the build puts it");
    }
}
