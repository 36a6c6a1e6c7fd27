using DiCacheNative.Backends;
using DiCacheNative.Cpu;
using DiCacheNative.Cuda;
using DiCacheNative.Onnx;

namespace DiCacheNative;

/// <summary>Makes backends, and tells which there are and why others are not.</summary>
public static class BackendFactory
{
    /// <summary>Environment variable with the path of the host driver, when it does not lie in the program's own folder.</summary>
    public const string HostDriverVariable = "DICACHE_CUDA_HOST";

    private const string HostDriverFile = "libdicache_cuda_host.so";

    /// <summary>Creates a backend.</summary>
    /// <param name="kind">Which; <see cref="BackendKind.Auto"/> takes CUDA when there is a device, the CPU otherwise.</param>
    /// <param name="threads">CPU threads; 0 for all cores.</param>
    /// <param name="precision">In what it computes.</param>
    /// <param name="log">Receives notes, one sentence each: why there is a GPU and the CPU is taken, for example.</param>
    /// <exception cref="BackendException">It is not available here; the message says why.</exception>
    public static IBackend Create(
        BackendKind kind, int threads = 0, BackendPrecision precision = BackendPrecision.Auto, Action<string>? log = null)
    {
        IBackend? backend;
        string reason;
        switch (kind)
        {
            case BackendKind.Auto:
                return TryDevice(CudaLibraries.Find(), precision, log, out backend) ? backend! : Cpu(threads, precision);
            case BackendKind.Cuda:
                return TryCuda(CudaLibraries.Find(), precision, log, out backend, out reason)
                    ? backend!
                    : throw Unavailable("CUDA", reason);
            case BackendKind.CudaHost:
                return TryHost(precision, log, out backend, out reason) ? backend! : throw Unavailable("CUDA host", reason);
            default:
                return Cpu(threads, precision);
        }
    }

    /// <summary>Lists all backends, available or not, and ONNX Runtime, which runs text encoders and VAE.</summary>
    public static IReadOnlyList<BackendStatus> List()
    {
        using CpuBackend cpu = Cpu(0, BackendPrecision.Auto);
        bool hasCuda = TryCuda(CudaLibraries.Find(), BackendPrecision.Auto, null, out IBackend? cuda, out string noCuda);
        bool hasHost = TryHost(BackendPrecision.Auto, null, out IBackend? host, out string noHost);
        using (cuda)
        using (host)
        {
            bool hasOnnx = OnnxRuntimeLibrary.TryLoad(out string onnx);
            return
            [
                new BackendStatus("cpu", true, cpu.Description),
                new BackendStatus("cuda", hasCuda, hasCuda ? cuda!.Description : noCuda),
                new BackendStatus("cuda-host", hasHost, hasHost ? host!.Description : noHost),
                new BackendStatus("onnx", hasOnnx, hasOnnx ? $"ONNX Runtime {onnx}, for text encoders and VAE" : onnx),
            ];
        }
    }

    private static CpuBackend Cpu(int threads, BackendPrecision precision) => new(new CpuBackendOptions
    {
        Threads = threads,
        Precision = precision switch { BackendPrecision.BF16 => CpuPrecision.Bf16, BackendPrecision.F32 => CpuPrecision.F32, _ => CpuPrecision.Auto },
    });

    /// <summary>A backend on a GPU, if there is one; one that is there and cannot be used is noted.</summary>
    internal static bool TryDevice(CudaLibraries libraries, BackendPrecision precision, Action<string>? log, out IBackend? backend)
    {
        if (TryCuda(libraries, precision, log, out backend, out string reason))
        {
            return true;
        }

        if (CudaDevice.List(libraries, out string none) is [CudaDevice device, ..])
        {
            log?.Invoke($"the CPU is used although there is a GPU ({device.Name}): {reason}");
        }
        else if (libraries.DriverVersion.Length > 0 && none != CudaDevice.NoDevice)
        {
            log?.Invoke($"the CPU is used although there is an NVIDIA driver: {reason}");
        }

        return false;
    }

    private static bool TryCuda(
        CudaLibraries libraries, BackendPrecision precision, Action<string>? log, out IBackend? backend, out string reason) =>
        TryCreate(libraries, precision == BackendPrecision.F32 ? CudaPrecision.F32 : CudaPrecision.BF16, log, out backend, out reason);

    private static bool TryCreate(
        CudaLibraries libraries, CudaPrecision precision, Action<string>? log, out IBackend? backend, out string reason)
    {
        CudaBackendOptions options = new()
        {
            Precision = precision,
            Libraries = libraries,
            Log = log,
            OnReleaseFailure = log is null ? null : failure => log($"device memory was not released: {failure.Message}"),
        };
        bool created = CudaBackend.TryCreate(options, out CudaBackend? cuda, out reason);
        backend = cuda;
        return created;
    }

    private static bool TryHost(BackendPrecision precision, Action<string>? log, out IBackend? backend, out string reason)
    {
        backend = null;
        string path = Environment.GetEnvironmentVariable(HostDriverVariable) ?? Path.Combine(AppContext.BaseDirectory, HostDriverFile);
        if (path.Length == 0)
        {
            reason = $"{HostDriverVariable} is set but empty: name the file of the host driver in it, or unset it";
            return false;
        }

        if (!File.Exists(path))
        {
            reason = $"the host driver, which is for tests, was not found at {path}: build it with tools/build-host-driver.sh and the program after it, "
                + $"or name its file in {HostDriverVariable}";
            return false;
        }

        CudaPrecision chosen = precision == BackendPrecision.BF16 ? CudaPrecision.BF16 : CudaPrecision.F32;
        return TryCreate(CudaLibraries.Host(path), chosen, log, out backend, out reason);
    }

    private static BackendException Unavailable(string name, string reason) =>
        new($"the {name} backend is not available: {reason.TrimEnd('.')}; choose the CPU backend");
}
