using DiCacheNative.Backends;
using DiCacheNative.Cpu;

namespace DiCacheNative;

/// <summary>Makes backends, and tells which there are and why others are not.</summary>
public static class BackendFactory
{
    /// <summary>Creates a backend.</summary>
    /// <param name="kind">Which; <see cref="BackendKind.Auto"/> takes the first one available.</param>
    /// <param name="threads">CPU threads; 0 for all cores.</param>
    /// <exception cref="BackendException">It is not available here; the message says why.</exception>
    public static IBackend Create(BackendKind kind, int threads = 0) => kind switch
    {
        BackendKind.Auto or BackendKind.Cpu => new CpuBackend(new CpuBackendOptions { Threads = threads }),
        _ => throw new BackendException($"the backend {kind} is not part of this build; choose --backend cpu"),
    };

    /// <summary>Lists all backends, available or not.</summary>
    public static IReadOnlyList<BackendStatus> List()
    {
        using CpuBackend cpu = new();
        return [new BackendStatus("cpu", true, cpu.Description)];
    }
}
