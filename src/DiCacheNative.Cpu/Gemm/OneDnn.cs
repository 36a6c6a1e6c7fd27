using System.Runtime.InteropServices;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>
/// The matrix products of the system's oneDNN, bound when first asked for. A library that is missing or incomplete is a value with a
/// reason, never an exception.
/// </summary>
/// <remarks>
/// oneDNN divides its work by the number of threads, and the last bits of the result with it. Each call is therefore made on one thread
/// and on a block whose shape does not depend on the team: the OpenMP thread count is set to 1 on the calling thread, and put back after.
/// </remarks>
internal sealed unsafe class OneDnn
{
    private static readonly Lazy<OneDnn> Loaded = new(() => new OneDnn());

    private readonly delegate* unmanaged<byte, byte, long, long, long, float, float*, long, float*, long, float, float*, long, int> _sgemm;
    private readonly delegate* unmanaged<byte, byte, long, long, long, float, ushort*, long, ushort*, long, float, float*, long, int> _bf16Gemm;
    private readonly delegate* unmanaged<int, void> _setThreads;
    private readonly delegate* unmanaged<int> _maxThreads;

    private OneDnn()
    {
        if (!TryLoad(["libdnnl.so.2", "libdnnl.so.3"], out nint library, out string file))
        {
            Reason = "oneDNN was not found (libdnnl.so.2; Debian: apt-get install libdnnl2)";
            return;
        }

        if (!TryLoad(["libgomp.so.1"], out nint openMp, out _)
            || !NativeLibrary.TryGetExport(openMp, "omp_set_num_threads", out nint setThreads)
            || !NativeLibrary.TryGetExport(openMp, "omp_get_max_threads", out nint maxThreads))
        {
            Reason = $"{file} is there, but libgomp.so.1, which sets its threads, is not";
            return;
        }

        if (!NativeLibrary.TryGetExport(library, "dnnl_sgemm", out nint sgemm))
        {
            Reason = $"{file} does not export dnnl_sgemm";
            return;
        }

        _setThreads = (delegate* unmanaged<int, void>)setThreads;
        _maxThreads = (delegate* unmanaged<int>)maxThreads;
        _sgemm = (delegate* unmanaged<byte, byte, long, long, long, float, float*, long, float*, long, float, float*, long, int>)sgemm;
        if (NativeLibrary.TryGetExport(library, "dnnl_gemm_bf16bf16f32", out nint bf16))
        {
            _bf16Gemm = (delegate* unmanaged<byte, byte, long, long, long, float, ushort*, long, ushort*, long, float, float*, long, int>)bf16;
        }

        Name = "oneDNN" + Version(library);
        Reason = $"{Name} was found as {file}";
    }

    /// <summary>The library of this process.</summary>
    internal static OneDnn Library => Loaded.Value;

    /// <summary>Whether binary32 products can be had.</summary>
    internal bool IsAvailable => _sgemm != null;

    /// <summary>Whether bfloat16 products can be had.</summary>
    internal bool HasBf16 => _bf16Gemm != null;

    /// <summary>Name and version, empty when not available.</summary>
    internal string Name { get; } = "";

    /// <summary>Why it is or is not available, as part of a sentence.</summary>
    internal string Reason { get; }

    /// <summary>y [m, n] = x [m, k] * w [n, k] transposed, on the calling thread alone.</summary>
    /// <returns>oneDNN's status, 0 for success.</returns>
    internal int Multiply(int m, int n, int k, float* x, long xStride, float* w, float* y, long yStride)
    {
        int threads = _maxThreads();
        _setThreads(1);
        int status = _sgemm((byte)'N', (byte)'T', m, n, k, 1, x, xStride, w, k, 0, y, yStride);
        _setThreads(threads);
        return status;
    }

    /// <summary>The same for bfloat16 operands and a binary32 result.</summary>
    /// <returns>oneDNN's status, 0 for success.</returns>
    internal int MultiplyBf16(int m, int n, int k, ushort* x, long xStride, ushort* w, float* y, long yStride)
    {
        int threads = _maxThreads();
        _setThreads(1);
        int status = _bf16Gemm((byte)'N', (byte)'T', m, n, k, 1, x, xStride, w, k, 0, y, yStride);
        _setThreads(threads);
        return status;
    }

    private static bool TryLoad(string[] names, out nint library, out string file)
    {
        foreach (string name in names)
        {
            file = name;
            if (NativeLibrary.TryLoad(name, out library))
            {
                return true;
            }
        }

        (library, file) = (0, "");
        return false;
    }

    private static string Version(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "dnnl_version", out nint version))
        {
            return "";
        }

        // dnnl_version_t starts with three ints: major, minor, patch.
        int* numbers = ((delegate* unmanaged<int*>)version)();
        return numbers == null ? "" : $" {numbers[0]}.{numbers[1]}.{numbers[2]}";
    }
}
