using System.Text;
using DiCacheNative.Cuda.Interop;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda.Runtime;

/// <summary>All kernels of the engine, loaded on one device.</summary>
internal sealed unsafe class KernelTable : IDisposable
{
    private readonly List<KernelModule> _modules = [];
    private readonly Dictionary<string, CudaKernel> _kernels = new(StringComparer.Ordinal);

    /// <summary>Loads what <see cref="KernelCache.Images"/> gave.</summary>
    public KernelTable(ContextHandle context, byte[][] images)
    {
        Driver driver = context.Driver;
        try
        {
            for (int i = 0; i < images.Length; i++)
            {
                KernelSource source = KernelSource.All[i];
                KernelModule module = KernelModule.Load(context, images[i], source.File);
                _modules.Add(module);
                foreach (string entry in source.Entries)
                {
                    // Functions are looked up now: a driver that loads lazily would otherwise do so while a plan is being recorded.
                    nint function = 0;
                    fixed (byte* name = Encoding.UTF8.GetBytes(entry + '\0'))
                    {
                        driver.Check(driver.cuModuleGetFunction(&function, module.Value, name), "looking up the kernel ", entry);
                    }

                    _kernels.Add(entry, new CudaKernel(entry, function));
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
