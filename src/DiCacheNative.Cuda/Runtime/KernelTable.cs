using System.Text;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>All kernels of the engine, loaded on one device.</summary>
internal sealed unsafe class KernelTable : IDisposable
{
    private readonly List<KernelModule> _modules = [];
    private readonly Dictionary<string, CudaKernel> _kernels = new(StringComparer.Ordinal);

    // INVALID_IMAGE, NO_BINARY_FOR_GPU, INVALID_PTX, UNSUPPORTED_PTX_VERSION, INVALID_SOURCE, NOT_FOUND: another compilation may help.
    private static readonly int[] s_unusable = [200, 209, 218, 222, 300, 500];

    /// <summary>Loads all kernels, from disk or compiled now.</summary>
    /// <param name="context">The device.</param>
    /// <param name="cache">Where they come from.</param>
    /// <param name="target">As from <see cref="KernelCompiler.Target"/>.</param>
    public KernelTable(ContextHandle context, KernelCache cache, string target)
    {
        try
        {
            KernelImage[] images = cache.Images(target);
            for (int i = 0; i < images.Length; i++)
            {
                KernelSource source = KernelSource.All[i];
                try
                {
                    Load(context, source, images[i]);
                }
                catch (CudaException e) when (images[i].FromDisk && s_unusable.Contains(e.Code))
                {
                    // The file is whole, but not what its name says.
                    Load(context, source, cache.Compile(source, target));
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>A kernel by name.</summary>
    public CudaKernel this[string name] => _kernels[name];

    /// <summary>The kernels of one operation for the types it is written for.</summary>
    public KernelFamily Family(string operation) => new(
        operation,
        _kernels.GetValueOrDefault(operation + "_bf16"),
        _kernels.GetValueOrDefault(operation + "_f32"),
        _kernels.GetValueOrDefault(operation + "_bf16_f32"),
        _kernels.GetValueOrDefault(operation + "_f32_bf16"));

    public void Dispose()
    {
        foreach (KernelModule module in _modules)
        {
            module.Dispose();
        }
    }

    private void Load(ContextHandle context, KernelSource source, in KernelImage image)
    {
        Driver driver = context.Driver;
        KernelModule module = KernelModule.Load(context, image.Bytes, source.File);
        _modules.Add(module);
        foreach (string entry in source.Entries)
        {
            // Functions are looked up now: a driver that loads lazily would otherwise do so while a plan is being recorded.
            nint function = 0;
            fixed (byte* name = Encoding.UTF8.GetBytes(entry + '\0'))
            {
                driver.Check(driver.cuModuleGetFunction(&function, module.Value, name), "looking up the kernel ", entry);
            }

            _kernels[entry] = new CudaKernel(entry, function);
        }
    }
}

/// <summary>A loaded kernel.</summary>
/// <param name="Name">Its entry point.</param>
/// <param name="Function">Its handle.</param>
internal sealed record CudaKernel(string Name, nint Function);

/// <summary>The kernels of an operation by type of input and output.</summary>
internal sealed record KernelFamily(string Operation, CudaKernel? BF16, CudaKernel? F32, CudaKernel? BF16ToF32, CudaKernel? F32ToBF16)
{
    /// <summary>The kernel for one type throughout.</summary>
    public CudaKernel For(DType type) => For(type, type);

    /// <summary>The kernel for an input and an output type.</summary>
    /// <exception cref="ShapeException">There is none for this pair.</exception>
    public CudaKernel For(DType from, DType to) => (from, to) switch
    {
        (DType.BF16, DType.BF16) => BF16,
        (DType.F32, DType.F32) => F32,
        (DType.BF16, DType.F32) => BF16ToF32,
        (DType.F32, DType.BF16) => F32ToBF16,
        _ => null,
    } ?? throw new ShapeException($"{Operation}: there is no kernel for {from} to {to}");
}
