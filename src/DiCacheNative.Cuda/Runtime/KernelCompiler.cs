using System.Text;
using DiCacheNative.Cuda.Interop;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>Compiles kernel files with NVRTC. Several threads may compile at the same time.</summary>
internal sealed unsafe class KernelCompiler
{
    private readonly Nvrtc _nvrtc;

    public KernelCompiler(Nvrtc nvrtc)
    {
        _nvrtc = nvrtc;
        int major = 0, minor = 0;
        nvrtc.Check(nvrtc.nvrtcVersion(&major, &minor), "asking NVRTC for its version");
        Version = $"{major}.{minor}";
    }

    /// <summary>NVRTC's version, as in "12.4".</summary>
    public string Version { get; }

    /// <summary>
    /// What to compile for on a device of compute capability <paramref name="capability"/> (90 for 9.0): "sm_90" when NVRTC knows it, else the
    /// PTX of the newest it knows, which the driver finishes.
    /// </summary>
    public string Target(int capability)
    {
        int count = 0;
        _nvrtc.Check(_nvrtc.nvrtcGetNumSupportedArchs(&count), "asking NVRTC what it compiles for");
        int[] known = new int[count];
        fixed (int* p = known)
        {
            _nvrtc.Check(_nvrtc.nvrtcGetSupportedArchs(p), "asking NVRTC what it compiles for");
        }

        return known.Contains(capability) ? $"sm_{capability}" : $"compute_{known.Where(a => a < capability).DefaultIfEmpty(capability).Max()}";
    }

    /// <summary>The options a kernel is compiled with; they are part of the key of a cached kernel.</summary>
    public static string[] Options(string target) => [$"--gpu-architecture={target}", "--std=c++17"];

    /// <summary>Compiles one file.</summary>
    /// <param name="file">Its name, for messages.</param>
    /// <param name="text">Its source.</param>
    /// <param name="target">As from <see cref="Target"/>.</param>
    /// <param name="log">What the compiler said.</param>
    /// <param name="extra">Options beyond <see cref="Options"/>.</param>
    /// <returns>A cubin for "sm_…", PTX for "compute_…".</returns>
    /// <exception cref="KernelCompileException">The compiler rejected it.</exception>
    public byte[] Compile(string file, string text, string target, out string log, params ReadOnlySpan<string> extra)
    {
        string doing = $"compiling the kernel {file} for {target}";
        using Utf8Array headers = new(KernelSource.Headers.Select(h => h.Text));
        using Utf8Array names = new(KernelSource.Headers.Select(h => h.File));
        using Utf8Array options = new([.. Options(target), .. extra]);
        using Utf8Array source = new([text, file]);
        nint program = 0;
        _nvrtc.Check(
            _nvrtc.nvrtcCreateProgram(&program, source.Pointers[0], source.Pointers[1], headers.Count, headers.Pointers, names.Pointers), doing);
        try
        {
            int result = _nvrtc.nvrtcCompileProgram(program, options.Count, options.Pointers);
            nuint size = 0;
            _nvrtc.Check(_nvrtc.nvrtcGetProgramLogSize(program, &size), doing);
            byte[] bytes = new byte[Math.Max(1, size)];
            fixed (byte* p = bytes)
            {
                _nvrtc.Check(_nvrtc.nvrtcGetProgramLog(program, p), doing);
            }

            log = Encoding.UTF8.GetString(bytes).TrimEnd('\0');
            if (result == CompilationError)
            {
                throw new KernelCompileException(file, target, log, text);
            }

            _nvrtc.Check(result, doing, "nvrtcCompileProgram(program, options)");
            byte[] image = Image(program, target, doing);
            nint finished = Interlocked.Exchange(ref program, 0);
            _nvrtc.Check(_nvrtc.nvrtcDestroyProgram(&finished), doing);
            return image;
        }
        catch when (program != 0)
        {
            // A program that cannot be destroyed must not hide why it was given up.
            _ = _nvrtc.nvrtcDestroyProgram(&program);
            throw;
        }
    }

    private const int CompilationError = 6; // NVRTC_ERROR_COMPILATION

    private byte[] Image(nint program, string target, string doing)
    {
        nuint size = 0;
        bool binary = target.StartsWith("sm_", StringComparison.Ordinal);
        if (binary)
        {
            _nvrtc.Check(_nvrtc.nvrtcGetCUBINSize(program, &size), doing);
        }
        else
        {
            _nvrtc.Check(_nvrtc.nvrtcGetPTXSize(program, &size), doing);
        }

        byte[] image = new byte[size];
        fixed (byte* p = image)
        {
            if (binary)
            {
                _nvrtc.Check(_nvrtc.nvrtcGetCUBIN(program, p), doing);
            }
            else
            {
                _nvrtc.Check(_nvrtc.nvrtcGetPTX(program, p), doing);
            }
        }

        return image;
    }
}
