using System.Text;
using DiCacheNative.Backends;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Cuda.Runtime;

namespace DiCacheNative.Cuda;

/// <summary>A device that the driver knows.</summary>
/// <param name="Index">Its number.</param>
/// <param name="Name">As the driver calls it.</param>
/// <param name="ComputeCapability">90 for 9.0.</param>
/// <param name="MemoryBytes">Its memory.</param>
/// <param name="Multiprocessors">Number of streaming multiprocessors.</param>
public sealed record CudaDevice(int Index, string Name, int ComputeCapability, long MemoryBytes, int Multiprocessors)
{
    /// <summary>The kernels use mma.sync for bf16 and cp.async, which Ampere brought.</summary>
    public const int LeastComputeCapability = 80;

    /// <summary>What is said of a machine with a driver and without a GPU.</summary>
    public const string NoDevice = "the NVIDIA driver knows of no device";

    /// <summary>Why the engine cannot use it; empty when it can.</summary>
    public string Refusal => ComputeCapability >= LeastComputeCapability
        ? ""
        : $"device {Index} ({Name}) has compute capability {ComputeCapability / 10}.{ComputeCapability % 10}; the kernels need 8.0 (Ampere) or newer";

    /// <summary>Lists the devices.</summary>
    /// <param name="libraries">Where the driver comes from.</param>
    /// <param name="reason">Why the list is empty; empty when it is not.</param>
    public static IReadOnlyList<CudaDevice> List(CudaLibraries libraries, out string reason)
    {
        ArgumentNullException.ThrowIfNull(libraries);
        if (libraries.Driver is not { } driver)
        {
            reason = string.Join("; ", libraries.Missing);
            return [];
        }

        try
        {
            CudaDevice[] devices = Query(driver);
            reason = devices.Length > 0 ? "" : NoDevice;
            return devices;
        }
        catch (BackendException e)
        {
            reason = e.Message;
            return [];
        }
    }

    /// <summary>As in "NVIDIA H100 80GB HBM3, sm_90, 132 multiprocessors, 85.0 GB".</summary>
    public override string ToString() => $"{Name}, sm_{ComputeCapability}, {Multiprocessors} multiprocessors, {Size.Text(MemoryBytes)}";

    private static unsafe CudaDevice[] Query(Driver driver)
    {
        CuResult initialised = driver.cuInit(0);
        if (initialised == CuResult.NoDevice)
        {
            return [];
        }

        driver.Check(initialised, "starting the NVIDIA driver", call: "cuInit(0)");
        int count = 0;
        driver.Check(driver.cuDeviceGetCount(&count), "counting devices");
        CudaDevice[] devices = new CudaDevice[count];
        byte* name = stackalloc byte[NameBytes];
        for (int i = 0; i < count; i++)
        {
            int device = 0, major = 0, minor = 0, multiprocessors = 0;
            nuint memory = 0;
            driver.Check(driver.cuDeviceGet(&device, i), "opening a device");
            driver.Check(driver.cuDeviceGetName(name, NameBytes, device), "asking a device for its name");
            driver.Check(driver.cuDeviceGetAttribute(&major, CuDeviceAttribute.ComputeCapabilityMajor, device), "asking a device what it is");
            driver.Check(driver.cuDeviceGetAttribute(&minor, CuDeviceAttribute.ComputeCapabilityMinor, device), "asking a device what it is");
            driver.Check(driver.cuDeviceGetAttribute(&multiprocessors, CuDeviceAttribute.MultiprocessorCount, device), "asking a device what it is");
            driver.Check(driver.cuDeviceTotalMem(&memory, device), "asking a device for its memory");
            ReadOnlySpan<byte> text = new(name, NameBytes);
            devices[i] = new CudaDevice(i, Encoding.UTF8.GetString(text[..Math.Max(0, text.IndexOf((byte)0))]), (10 * major) + minor, (long)memory,
                multiprocessors);
        }

        return devices;
    }

    private const int NameBytes = 256;
}
