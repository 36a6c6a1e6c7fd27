using DiCacheNative.Cuda.Runtime;
using DiCacheNative.Tensors;

namespace DiCacheNative.Cuda;

/// <content>Launch geometry. It repeats what the headers of kernels/*.cu state.</content>
public sealed unsafe partial class CudaBackend
{
    /// <summary>Elements a thread moves at once; kVector in kernels/common.cuh.</summary>
    private const int VectorWidth = 8;

    /// <summary>Threads per block of element-wise kernels; kElementwiseThreads in kernels/elementwise.cuh.</summary>
    private const int ElementwiseThreads = 256;

    /// <summary>Widest row of the kernels that give a block a row: 1024 threads of eight elements.</summary>
    private const int WidestRow = 1024 * VectorWidth;

    private readonly Families _families;

    private readonly record struct Geometry(long X, int Y, int Z, int Threads, int ThreadsY = 1, int SharedBytes = 0);

    /// <summary>One block per row, eight elements per thread.</summary>
    private static Geometry RowPerBlock(string operation, in Tensor x)
    {
        if (x.Cols > WidestRow)
        {
            throw new ShapeException($"{operation}: rows of {x} are wider than the {WidestRow} elements that the CUDA backend supports");
        }

        return new(x.Rows, x.Batch, 1, Ceiling(Ceiling(x.Cols, VectorWidth), 32) * 32);
    }

    /// <summary>One thread per eight elements of a row.</summary>
    private static Geometry Elementwise(in Tensor x) =>
        new(CeilingLong((long)x.Rows * Ceiling(x.Cols, VectorWidth), ElementwiseThreads), x.Batch, 1, ElementwiseThreads);

    /// <summary>True when all rows can be moved 16 bytes at a time.</summary>
    private static bool Wide(int cols, int multiple, params ReadOnlySpan<Tensor> operands)
    {
        if (cols % multiple != 0)
        {
            return false;
        }

        foreach (ref readonly Tensor t in operands)
        {
            int size = t.Type.Size();
            if (t.Data % 16 != 0 || (t.Rows > 1 && t.RowStride * size % 16 != 0) || (t.Batch > 1 && t.BatchStride * size % 16 != 0))
            {
                return false;
            }
        }

        return true;
    }

    private static int AsInt(bool value) => value ? 1 : 0;

    private static int Ceiling(int value, int divisor) => (value + divisor - 1) / divisor;

    private static long CeilingLong(long value, int divisor) => (value + divisor - 1) / divisor;

    /// <summary>Launches a kernel that takes one struct.</summary>
    private void Launch<TArgs>(CudaStream stream, CudaKernel kernel, in Geometry g, in TArgs args)
        where TArgs : unmanaged
    {
        fixed (TArgs* p = &args)
        {
            void* list = p;
            Launch(stream, kernel, g, &list);
        }
    }

    private void Launch(CudaStream stream, CudaKernel kernel, in Geometry g, void** args)
    {
        _driver.Check(
            _driver.cuLaunchKernel(
                kernel.Function, (uint)g.X, (uint)g.Y, (uint)g.Z, (uint)g.Threads, (uint)g.ThreadsY, 1, (uint)g.SharedBytes, stream.Handle, args, null),
            "launching ",
            kernel.Name,
            "cuLaunchKernel");
        Interlocked.Increment(ref _launches);
        Issued(stream, "running ", kernel.Name);
    }

    /// <summary>Called after each kernel and matrix product: waits for it when failures are to be named.</summary>
    private void Issued(CudaStream stream, string doing, string name)
    {
        if (NamesFailingKernels && !stream.Capturing)
        {
            _driver.Check(_driver.cuStreamSynchronize(stream.Handle), doing, name);
        }
    }

    /// <summary>The kernels by operation, looked up once.</summary>
    private sealed class Families(KernelTable kernels)
    {
        public readonly KernelFamily LayerNormModulate = kernels.Family("layer_norm_modulate");
        public readonly KernelFamily QkNormRope = kernels.Family("qk_norm_rope");
        public readonly KernelFamily GatedResidual = kernels.Family("gated_residual");
        public readonly KernelFamily Subtract = kernels.Family("subtract");
        public readonly KernelFamily Activate = kernels.Family("activate");
        public readonly KernelFamily TimestepEmbed = kernels.Family("timestep_embed");
        public readonly KernelFamily Patchify = kernels.Family("patchify");
        public readonly KernelFamily Unpatchify = kernels.Family("unpatchify");
        public readonly KernelFamily EulerStep = kernels.Family("euler_step");
        public readonly KernelFamily Guide = kernels.Family("guide");
        public readonly KernelFamily MeanRows = kernels.Family("mean_rows");
        public readonly KernelFamily ProbeL1 = kernels.Family("probe_l1");
        public readonly KernelFamily TrajectoryBlend = kernels.Family("trajectory_blend");
        public readonly KernelFamily Absolute = kernels.Family("framework_absolute");
        public readonly KernelFamily Scale = kernels.Family("framework_scale");
        public readonly KernelFamily Add = kernels.Family("framework_add");
        public readonly KernelFamily RowSum = kernels.Family("framework_row_sum");
        public readonly CudaKernel ProbeL1Sum = kernels["probe_l1_sum"];
    }
}
