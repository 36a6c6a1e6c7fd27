using System.Runtime.InteropServices;
using System.Text;

namespace DiCacheNative.Tests.HostDriver;

/// <summary>
/// A context, a stream and the means to run the test kernels, from a reset driver. Failed calls are results here, not exceptions.
/// </summary>
internal sealed unsafe class HostDriverSession
{
    public const int Success = 0;
    public const int InvalidValue = 1;
    public const int OutOfMemory = 2;
    public const int InvalidHandle = 400;
    public const int NotReady = 600;
    public const int IllegalAddress = 700;
    public const int LaunchTimeout = 702;
    public const int MisalignedAddress = 716;
    public const int LaunchFailed = 719;

    private readonly Dictionary<string, nint> _functions = [];
    private readonly List<nint> _modules = [];
    private bool _retained;

    public HostDriverSession(string library, long seed = 0)
    {
        Library = HostDriverLibrary.Require(library);
        Library.Reset();
        Library.Option("seed", seed);
        Start();
    }

    /// <summary>On a library as it is: not reset, with the failures it was told of, and not started.</summary>
    public HostDriverSession(HostDriverLibrary library)
    {
        Library = library;
    }

    public HostDriverLibrary Library { get; }

    public nint Stream { get; private set; }

    public string Findings => Library.Findings();

    /// <summary>cuInit, a context, a stream.</summary>
    public void Start()
    {
        nint context = 0, stream = 0;
        Check(((delegate* unmanaged<uint, int>)Library["cuInit"])(0));
        Check(((delegate* unmanaged<nint*, int, int>)Library["cuDevicePrimaryCtxRetain"])(&context, 0));
        _retained = true;
        Check(Call("cuCtxSetCurrent", context));
        Check(((delegate* unmanaged<nint*, uint, int>)Library["cuStreamCreate"])(&stream, 1));
        Stream = stream;
    }

    /// <summary>Retains the device's context once more; gives the error.</summary>
    public int TryRetain()
    {
        nint context = 0;
        return ((delegate* unmanaged<nint*, int, int>)Library["cuDevicePrimaryCtxRetain"])(&context, 0);
    }

    /// <summary>Lets go of the modules, the stream and the context; what is alive after that has leaked.</summary>
    public string Stop()
    {
        foreach (nint module in _modules)
        {
            Call("cuModuleUnload", module);
        }

        if (Stream != 0)
        {
            Call("cuStreamDestroy_v2", Stream);
        }

        if (_retained)
        {
            ((delegate* unmanaged<int, int>)Library["cuDevicePrimaryCtxRelease_v2"])(0);
        }

        return Library.Live();
    }

    public void Check(int result) => Assert.True(result == Success, $"error {result}; {Findings}");

    /// <summary>Calls an entry point that takes pointer-sized arguments.</summary>
    public int Call(string entry, nint a) => ((delegate* unmanaged<nint, int>)Library[entry])(a);

    public int Call(string entry, nint a, nint b) => ((delegate* unmanaged<nint, nint, int>)Library[entry])(a, b);

    /// <summary>Calls an entry point that makes something.</summary>
    public int Create(string entry, uint flags, out nint made)
    {
        fixed (nint* p = &made)
        {
            return ((delegate* unmanaged<nint*, uint, int>)Library[entry])(p, flags);
        }
    }

    public int TryAllocate(long bytes, out nint memory)
    {
        fixed (nint* p = &memory)
        {
            return ((delegate* unmanaged<nint*, nuint, int>)Library["cuMemAlloc_v2"])(p, (nuint)bytes);
        }
    }

    public nint Allocate(long bytes)
    {
        Check(TryAllocate(bytes, out nint memory));
        return memory;
    }

    public nint AllocatePinned(int bytes)
    {
        nint memory = 0;
        Check(((delegate* unmanaged<nint*, nuint, uint, int>)Library["cuMemHostAlloc"])(&memory, (nuint)bytes, 0));
        return memory;
    }

    public int Free(nint memory) => Call("cuMemFree_v2", memory);

    public nint Upload<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        nint memory = Allocate((long)values.Length * sizeof(T));
        fixed (T* p = values)
        {
            Check(CopyIn(memory, (nint)p, values.Length * sizeof(T)));
        }

        return memory;
    }

    public T[] Download<T>(nint memory, int count)
        where T : unmanaged
    {
        T[] values = new T[count];
        fixed (T* p = values)
        {
            Check(CopyOut((nint)p, memory, count * sizeof(T)));
        }

        return values;
    }

    public int CopyIn(nint device, nint host, int bytes) =>
        ((delegate* unmanaged<nint, nint, nuint, nint, int>)Library["cuMemcpyHtoDAsync_v2"])(device, host, (nuint)bytes, Stream);

    public int CopyOut(nint host, nint device, int bytes) =>
        ((delegate* unmanaged<nint, nint, nuint, nint, int>)Library["cuMemcpyDtoHAsync_v2"])(host, device, (nuint)bytes, Stream);

    public int Synchronize() => Call("cuStreamSynchronize", Stream);

    /// <summary>Launches a kernel; each argument is a word whose low bytes are the value.</summary>
    public int Launch(string kernel, int blocks, int threads, params ReadOnlySpan<long> arguments) =>
        Launch(kernel, (blocks, 1, 1), (threads, 1, 1), 0, Stream, arguments);

    public int Launch(
        string kernel, (int X, int Y, int Z) grid, (int X, int Y, int Z) block, int shared, nint stream, params ReadOnlySpan<long> arguments)
    {
        nint function = Function(kernel);
        fixed (long* words = arguments)
        {
            void** pointers = stackalloc void*[arguments.Length];
            for (int i = 0; i < arguments.Length; i++)
            {
                pointers[i] = words + i;
            }

            var launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Library["cuLaunchKernel"];
            return launch(
                function,
                (uint)grid.X,
                (uint)grid.Y,
                (uint)grid.Z,
                (uint)block.X,
                (uint)block.Y,
                (uint)block.Z,
                (uint)shared,
                stream,
                pointers,
                null);
        }
    }

    public int Run(string kernel, int blocks, int threads, params ReadOnlySpan<long> arguments)
    {
        int result = Launch(kernel, blocks, threads, arguments);
        return result != Success ? result : Synchronize();
    }

    /// <summary>A kernel of tests/host-driver, by name: those of clean.cu start with "clean".</summary>
    public nint Function(string kernel)
    {
        if (_functions.TryGetValue(kernel, out nint function))
        {
            return function;
        }

        string file = kernel.StartsWith("clean", StringComparison.Ordinal) ? "clean.cu" : "faults.cu";
        nint module = 0;
        Assert.Equal(0, Compile(file, KernelText(file), [], out byte[] image, out _));
        fixed (byte* i = image)
        {
            Check(((delegate* unmanaged<nint*, void*, int>)Library["cuModuleLoadData"])(&module, i));
        }

        _modules.Add(module);
        fixed (byte* n = Encoding.UTF8.GetBytes(kernel + '\0'))
        {
            Check(((delegate* unmanaged<nint*, nint, byte*, int>)Library["cuModuleGetFunction"])(&function, module, n));
        }

        _functions.Add(kernel, function);
        return function;
    }

    public static string KernelText(string file) => File.ReadAllText(Repository.File("tests", "host-driver", file));

    /// <summary>What NVRTC's compile call returned, with image and log.</summary>
    public int Compile(string file, string text, string[] options, out byte[] image, out string log)
    {
        nint program = 0;
        fixed (byte* t = Encoding.UTF8.GetBytes(text + '\0'), n = Encoding.UTF8.GetBytes(file + '\0'))
        {
            var create = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Library["nvrtcCreateProgram"];
            Check(create(&program, t, n, 0, null, null));
        }

        nint[] texts = [.. options.Select(Marshal.StringToCoTaskMemUTF8)];
        int result, destroyed;
        try
        {
            fixed (nint* o = texts)
            {
                result = ((delegate* unmanaged<nint, int, byte**, int>)Library["nvrtcCompileProgram"])(program, options.Length, (byte**)o);
            }

            log = Encoding.UTF8.GetString(Bytes("nvrtcGetProgramLog", program)).TrimEnd('\0');
            image = result == 0 ? Bytes("nvrtcGetCUBIN", program) : [];
        }
        finally
        {
            Array.ForEach(texts, Marshal.FreeCoTaskMem);
            destroyed = ((delegate* unmanaged<nint*, int>)Library["nvrtcDestroyProgram"])(&program);
        }

        Check(destroyed);
        return result;
    }

    public static long Word(float value) => BitConverter.SingleToUInt32Bits(value);

    private byte[] Bytes(string what, nint program)
    {
        nuint size = 0;
        Check(((delegate* unmanaged<nint, nuint*, int>)Library[what + "Size"])(program, &size));
        byte[] bytes = new byte[size];
        fixed (byte* b = bytes)
        {
            Check(((delegate* unmanaged<nint, byte*, int>)Library[what])(program, b));
        }

        return bytes;
    }
}
