using System.Security.Cryptography;
using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Tests.HostDriver;

namespace DiCacheNative.Cuda.Tests;

/// <summary>Files of compiled kernels that are whole, and yet not what their name says.</summary>
[Collection(HostCollection.Name)]
public sealed class KernelImageTests : IDisposable
{
    private readonly HostDriverLibrary _library = HostBackends.Library(HostBackends.Normal);
    private readonly string _folder = Path.Combine(Path.GetTempPath(), $"dicache-kernels-{Guid.NewGuid():N}");

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_image_that_does_not_load_or_lacks_its_kernels_is_compiled_anew_and_replaced(bool otherKernel)
    {
        using (CudaBackend first = Open())
        {
            Assert.Equal(KernelSource.All.Count, first.KernelsCompiled);
        }

        string[] files = [.. Directory.GetFiles(_folder).Order()];
        byte[] content = otherKernel ? File.ReadAllBytes(files[1])[32..] : "no kernel at all"u8.ToArray();
        File.WriteAllBytes(files[0], [.. SHA256.HashData(content), .. content]);

        using (CudaBackend second = Open())
        {
            Assert.Equal(1, second.KernelsCompiled);
        }

        using CudaBackend third = Open();
        Assert.Equal(0, third.KernelsCompiled);
        Assert.Equal("", _library.Findings());
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private CudaBackend Open()
    {
        CudaBackendOptions options = new() { Libraries = HostBackends.Libraries(HostBackends.Normal), KernelCacheFolder = _folder };
        Assert.True(CudaBackend.TryCreate(options, out CudaBackend? backend, out string reason), reason);
        return backend!;
    }
}
