using System.Runtime.InteropServices;
using System.Text;

namespace DiCacheNative.Tests.HostDriver;

/// <summary>
/// One build of the host driver with the kernels of tests/host-driver, called as a CUDA program calls the driver. A library has one
/// device and one set of findings, so its tests run one after the other.
/// </summary>
internal sealed unsafe class HostDriverLibrary
{
    /// <summary>Kernels as they are: faults show through guard pages and margins.</summary>
    public const string Normal = "dicache_cuda_host_test";

    /// <summary>Kernels with every access instrumented: races and uninitialised shared memory show too.</summary>
    public const string Race = "dicache_cuda_host_test_race";

    private static readonly Dictionary<string, HostDriverLibrary> Loaded = [];

    private readonly nint _handle;

    private HostDriverLibrary(nint handle)
    {
        _handle = handle;
    }

    /// <summary>The library of that name; the test is skipped when it was not built.</summary>
    public static HostDriverLibrary Require(string name)
    {
        string path = Repository.File(".native", "host-driver", $"lib{name}.so");
        Assert.SkipUnless(File.Exists(path), $"{Path.GetFileName(path)} is not there: tools/build-host-driver.sh builds it (Linux, g++)");
        lock (Loaded)
        {
            if (!Loaded.TryGetValue(name, out HostDriverLibrary? library))
            {
                library = new(NativeLibrary.Load(path));
                Loaded.Add(name, library);
            }

            return library;
        }
    }

    /// <summary>Address of an exported function.</summary>
    public nint this[string name] => NativeLibrary.GetExport(_handle, name);

    /// <summary>Forgets findings, errors, injected failures and everything alive, and sets the options back.</summary>
    public void Reset()
    {
        ((delegate* unmanaged<void>)this["dicacheHostReset"])();
        foreach ((string name,
            long value) in new[] { ("seed", 0L), ("memory", 1L << 30), ("threads", 2L), ("arch", 80L), ("version", 12040L), ("refuse_fused", 0L),
            ("eager", 0L), ("interleave", 0L), ("print", 0L) })
        {
            Option(name, value);
        }
    }

    /// <summary>Sets an option.</summary>
    public void Option(string name, long value)
    {
        fixed (byte* n = Encoding.UTF8.GetBytes(name + '\0'))
        {
            Assert.Equal(1, ((delegate* unmanaged<byte*, long, int>)this["dicacheHostOption"])(n, value));
        }
    }

    /// <summary>The n-th call of the entry point from now on fails; "*" is any entry point.</summary>
    public void Fail(string entry, int n)
    {
        fixed (byte* e = Encoding.UTF8.GetBytes(entry + '\0'))
        {
            ((delegate* unmanaged<byte*, int, void>)this["dicacheHostFail"])(e, n);
        }
    }

    /// <summary>Calls since the reset, of one entry point or of all.</summary>
    public int Calls(string? entry = null)
    {
        fixed (byte* e = entry is null ? null : Encoding.UTF8.GetBytes(entry + '\0'))
        {
            return (int)((delegate* unmanaged<byte*, nuint>)this["dicacheHostCalls"])(e);
        }
    }

    /// <summary>What the checks found, a line each; empty when they found nothing.</summary>
    public string Findings() => Text("dicacheHostFindings");

    /// <summary>What is alive, a line per kind; empty when nothing is.</summary>
    public string Live() => Text("dicacheHostLive");

    private string Text(string function)
    {
        byte[] buffer = new byte[64 * 1024];
        fixed (byte* b = buffer)
        {
            nuint count = ((delegate* unmanaged<byte*, nuint, nuint>)this[function])(b, (nuint)buffer.Length);
            string text = Marshal.PtrToStringUTF8((nint)b)!;
            Assert.Equal(count == 0, text.Length == 0);
            return text;
        }
    }
}
