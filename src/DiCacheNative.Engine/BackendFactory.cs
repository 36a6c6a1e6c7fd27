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
    /// <exception cref="BackendException">It is not available here; the message says why.</exception>
    public static IBackend Create(BackendKind kind, int threads = 0, BackendPrecision precision = BackendPrecision.Auto)
    {
        IBackend? backend;
        string reason;
        switch (kind)
        {
            case BackendKind.Auto:
                return TryCuda(precision, out backend, out _) ? backend! : Cpu(threads, precision);
            case BackendKind.Cuda:
                return TryCuda(precision, out backend, out reason) ? backend! : throw Unavailable("CUDA", reason);
            case BackendKind.CudaHost:
                return TryHost(precision, out backend, out reason) ? backend! : throw Unavailable("CUDA host", reason);
            default:
                return Cpu(threads, precision);
        }
    }

    /// <summary>Lists all backends, available or not, and ONNX Runtime, which runs text encoders and VAE.</summary>
    public static IReadOnlyList<BackendStatus> List()
    {
        using CpuBackend cpu = Cpu(0, BackendPrecision.Auto);
        bool hasCuda = TryCuda(BackendPrecision.Auto, out IBackend? cuda, out string noCuda);
        bool hasHost = TryHost(BackendPrecision.Auto, out IBackend? host, out string noHost);
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

    private static bool TryCuda(BackendPrecision precision, out IBackend? backend, out string reason)
    {
        CudaBackendOptions options = new() { Precision = precision == BackendPrecision.F32 ? CudaPrecision.F32 : CudaPrecision.BF16 };
        bool created = CudaBackend.TryCreate(options, out CudaBackend? cuda, out reason);
        backend = cuda;
        return created;
    }

    private static bool TryHost(BackendPrecision precision, out IBackend? backend, out string reason)
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

        CudaBackendOptions options = new()
        {
            Precision = precision == BackendPrecision.BF16 ? CudaPrecision.BF16 : CudaPrecision.F32, Libraries = CudaLibraries.Host(path),
        };
        bool created = CudaBackend.TryCreate(options, out CudaBackend? host, out reason);
        backend = host;
        return created;
    }

    private static BackendException Unavailable(string name, string reason) => new($"the {name} backend is not available: {reason.TrimEnd('.')}; choose --backend cpu");
}
