using System.Runtime.InteropServices;
using DiCacheNative.Backends;
using Microsoft.ML.OnnxRuntime;

namespace DiCacheNative.Onnx;

/// <summary>ONNX Runtime's native library: found, loaded once, and asked for its version.</summary>
public static partial class OnnxRuntimeLibrary
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
            if (!OrtEnv.IsCreated)
            {
                DeclineTelemetry();

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

    // The official builds of ONNX Runtime collect data about their use and send it to their maker, and read the command line, which holds
    // the prompt, to name the program. They look at this variable once, when they start. Whoever sets it to 0 allows it.
    private static void DeclineTelemetry()
    {
        const string Name = "ORT_DISABLE_TELEMETRY";
        if (Environment.GetEnvironmentVariable(Name) is not null)
        {
            return;
        }

        Environment.SetEnvironmentVariable(Name, "1");
        if (!OperatingSystem.IsWindows())
        {
            // .NET keeps a copy of its own there, which native code does not see.
            _ = SetVariable(Name, "1", overwrite: 0);
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    // A static constructor of the API hides the reason in a TypeInitializationException.
    private static Exception Root(Exception e) => e is TypeInitializationException { InnerException: { } inner } ? Root(inner) : e;

    private static string Describe(Exception e) => e is BackendException
        ? e.Message
        : $"ONNX Runtime's native library could not be used ({e.Message}); the package Microsoft.ML.OnnxRuntime brings it for this platform: restore and "
            + $"build again";
}
