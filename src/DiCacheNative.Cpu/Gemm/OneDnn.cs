using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace DiCacheNative.Cpu.Gemm;

/// <summary>
/// The matrix products of oneDNN, bound when first asked for. A library that is missing or incomplete is a value with a reason, never an
/// exception. It is looked for where <see cref="PathVariable"/> says, else in the folder onednn beside the program, else where the system
/// keeps its libraries; never in the current folder.
/// </summary>
/// <remarks>
/// oneDNN divides its work by the number of threads, and the last bits of the result with it. Each call is therefore made on one thread
/// and on a block whose shape does not depend on the team: the OpenMP thread count is set to 1 on the calling thread, and put back after.
/// OpenMP keeps that count for each thread, so backends that multiply at the same time do not meet in it.
/// </remarks>
internal sealed unsafe class OneDnn
{
    /// <summary>Environment variable with the path of the library.</summary>
    internal const string PathVariable = "DICACHE_ONEDNN";

    private static readonly Lazy<OneDnn> Loaded = new(() => new OneDnn(Environment.GetEnvironmentVariable(PathVariable),
        Path.Combine(AppContext.BaseDirectory, "onednn")));

    // What libdnnl of Debian stands on beside the C and C++ libraries; those of the system come first.
    private static readonly string[] Support = ["libgomp.so.1", "libOpenCL.so.1"];

    private readonly delegate* unmanaged<byte, byte, long, long, long, float, float*, long, float*, long, float, float*, long, int> _sgemm;
    private readonly delegate* unmanaged<byte, byte, long, long, long, float, ushort*, long, ushort*, long, float, float*, long, int> _bf16Gemm;
    private readonly delegate* unmanaged<int, void> _setThreads;
    private readonly delegate* unmanaged<int> _maxThreads;

    /// <summary>Binds the library.</summary>
    /// <param name="path">The library itself; null or empty to look for it.</param>
    /// <param name="folder">Where the build puts it.</param>
    internal OneDnn(string? path, string folder)
    {
        if (!string.IsNullOrEmpty(path) && !Path.IsPathFullyQualified(path))
        {
            Reason = $"oneDNN was not loaded: {PathVariable} is {path}, and takes a full path";
            return;
        }

        if (!TryFind(path, folder, out nint library, out string file))
        {
            Reason = string.IsNullOrEmpty(path)
                ? "oneDNN was not found (libdnnl.so.2; tools/get-onednn.sh before the build, or Debian's package libdnnl2)"
                : $"oneDNN was not loaded: {PathVariable} is {path}, which is no library that this system loads";
            return;
        }

        if (!NativeLibrary.TryLoad(Support[0], out nint openMp) && !NativeLibrary.TryLoad(Path.Combine(folder, Support[0]), out openMp)
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
            HasBf16 = MultipliesBf16();
        }

        Name = "oneDNN" + Version(library);
        Reason = $"{Name} was found as {file}";
    }

    /// <summary>The library of this process.</summary>
    internal static OneDnn Library => Loaded.Value;

    /// <summary>Whether binary32 products can be had.</summary>
    internal bool IsAvailable => _sgemm != null;

    /// <summary>Whether bfloat16 products can be had: the library has them, and computes them on this processor.</summary>
    internal bool HasBf16 { get; }

    /// <summary>
    /// Whether this processor multiplies bfloat16 numbers in one instruction (AVX512_BF16 or AMX_BF16), so that oneDNN is faster in them
    /// than in binary32. Others emulate it, or cannot do it at all.
    /// </summary>
    internal static bool ProcessorHasBf16 { get; } = DetectBf16();

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

    private static bool TryFind(string? path, string folder, out nint library, out string file)
    {
        string[] candidates = !string.IsNullOrEmpty(path) ? [path] : [Path.Combine(folder, "libdnnl.so.2"), "libdnnl.so.2", "libdnnl.so.3"];
        foreach (string candidate in candidates)
        {
            // A name alone is looked up by the system. What stands beside a library is not: it is loaded before it.
            string? own = Path.GetDirectoryName(candidate);
            if (!string.IsNullOrEmpty(own) && File.Exists(candidate))
            {
                foreach (string name in Support)
                {
                    _ = NativeLibrary.TryLoad(name, out _) || NativeLibrary.TryLoad(Path.Combine(own, name), out _);
                }
            }
            else if (!string.IsNullOrEmpty(own))
            {
                continue;
            }

            if (NativeLibrary.TryLoad(candidate, out library))
            {
                file = candidate;
                return true;
            }
        }

        (library, file) = (0, "");
        return false;
    }

    // Exported is not computed: on a processor without AVX-512 the call gives a status and no result.
    private bool MultipliesBf16()
    {
        ushort* x = stackalloc ushort[] { 0x3F80, 0x4000 }, w = stackalloc ushort[] { 0x4040, 0x4080 };
        float y = 0;
        return MultiplyBf16(1, 1, 2, x, 2, w, &y, 1) == 0 && y == 11;
    }

    private static bool DetectBf16()
    {
        if (!Avx512F.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
        {
            return false;
        }

        // Leaf 7: EDX bit 22 is AMX_BF16; its second part: EAX bit 5 is AVX512_BF16.
        (int parts, _, _, int features) = X86Base.CpuId(7, 0);
        return ((features >> 22) & 1) != 0 || (parts >= 1 && ((X86Base.CpuId(7, 1).Eax >> 5) & 1) != 0);
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
